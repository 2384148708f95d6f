"""Bytes of every id, for the ways in which vocabularies write bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.hf.word_level import WordLevelTokenizer, is_word_level
from tts_runtime.paths import bundled
from tts_runtime.tokens import to_bytes

TEXT = "Step 1: 17*3=51\n\nnaïve 日本語 <think>é</think> ok"


def byte_level() -> Tokenizer:
    """GPT-2's kind."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    return tokenizer


def sentencepiece() -> Tokenizer:
    """Llama 2's kind: `▁` for spaces, bytes as `<0x..>` where the vocabulary has no letter."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"Step1:7*3=5nahik>", "<"]
    vocabulary = {name: token for token, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def words() -> Tokenizer:
    """The bundled kind: tokens are their text."""
    vocabulary = {letter: token for token, letter in enumerate(sorted({*TEXT, "<unk>"}))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return tokenizer


@pytest.mark.parametrize("make", [byte_level, sentencepiece, words])
def test_pieces_give_back_the_text(tmp_path: Path, make: Callable[[], Tokenizer]) -> None:
    made = make()
    made.add_special_tokens(["<eos>"])
    made.add_tokens(["<think>", "</think>"])
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = HuggingFaceTokenizer(tmp_path)
    ids = tokenizer.encode(TEXT)
    assert to_bytes(tokenizer, ids) == TEXT.encode()
    (think,) = tokenizer.encode("<think>")
    (end,) = tokenizer.encode("<eos>")
    assert think in ids  # an added token written out is found
    assert tokenizer.pieces[think] == b"<think>"
    assert tokenizer.pieces[end] == b""
    assert tokenizer.encode("a<eos>")[-1] == end


def test_added_tokens_are_written_as_the_library_writes_them(tmp_path: Path) -> None:
    """Gemma's runs of spaces are added tokens."""
    for name, made, runs in (
        ("sentencepiece", sentencepiece(), ["▁▁", "▁▁▁", "\n\n"]),
        ("byte level", byte_level(), ["  ", "\n\n", "日本"]),
    ):
        made.add_tokens([AddedToken(run, normalized=False) for run in runs])
        (tmp_path / name).mkdir()
        made.save(str(tmp_path / name / "tokenizer.json"))
        tokenizer = HuggingFaceTokenizer(tmp_path / name)
        ids = [token for run in runs for token in made.encode(run).ids]
        assert len(ids) == len(runs)
        assert to_bytes(tokenizer, ids).decode() == made.decode(ids)


def test_special_delimiters_can_be_text(tmp_path: Path) -> None:
    made = words()
    made.add_special_tokens(["<think>"])
    made.save(str(tmp_path / "tokenizer.json"))
    hidden, shown = HuggingFaceTokenizer(tmp_path), HuggingFaceTokenizer(tmp_path, ["<think>"])
    (token,) = hidden.encode("<think>")
    assert (hidden.pieces[token], shown.pieces[token]) == (b"", b"<think>")


def test_fingerprints_tell_tokenizers_apart(tmp_path: Path) -> None:
    for name, made in (("a", words()), ("b", words()), ("c", byte_level())):
        (tmp_path / name).mkdir()
        made.save(str(tmp_path / name / "tokenizer.json"))
    prints = [HuggingFaceTokenizer(tmp_path / name).fingerprint for name in "abc"]
    assert prints[0] == prints[1] != prints[2]


def test_unreadable_tokenizers_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        HuggingFaceTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("[1, 2")
    with pytest.raises(EngineError, match="is not a tokenizer"):
        HuggingFaceTokenizer(tmp_path)


WORDS = st.lists(
    st.text("ab\n\\{.é日", min_size=1, max_size=4), min_size=1, max_size=6, unique=True
)
MARKS = st.lists(st.text("<a>b", min_size=1, max_size=4), max_size=4, unique=True)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(WORDS, MARKS, st.text("ab\n\\{.é日<>c", max_size=30))
def test_word_level_tokenizers_are_read_as_the_library_reads_them(
    words: list[str], marks: list[str], text: str
) -> None:
    """The bundled models' kind, which needs no library; also through `guarded`, with offsets."""
    names = dict.fromkeys(["<unk>", *words, *"ab\n\\{.é日"])
    library = Tokenizer(
        models.WordLevel({name: token for token, name in enumerate(names)}, unk_token="<unk>")
    )
    pattern = "|".join([*map(re.escape, words), r"[\s\S]"])
    library.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    library.add_special_tokens(marks)
    made = json.loads(library.to_str())
    assert is_word_level(made)
    ours = WordLevelTokenizer(made)
    expected, found = library.encode(text), ours.encode(text, add_special_tokens=False)
    assert found.ids == expected.ids
    assert found.offsets == expected.offsets
    assert ours.get_vocab(with_added_tokens=True) == library.get_vocab(with_added_tokens=True)
    for token in range(library.get_vocab_size()):
        name = library.id_to_token(token)
        assert ours.id_to_token(token) == name
        assert ours.token_to_id(str(name)) == token


def test_other_tokenizers_are_left_to_the_library() -> None:
    assert not any(is_word_level(json.loads(make().to_str())) for make in (byte_level, words))
    plain = json.loads((bundled("policy") / "tokenizer.json").read_text("utf-8"))
    assert is_word_level(plain)
    for key, value in (
        ("normalizer", {"type": "Lowercase"}),
        ("pre_tokenizer", plain["pre_tokenizer"] | {"pattern": {"Regex": r"\w+|[\s\S]"}}),
        ("pre_tokenizer", plain["pre_tokenizer"] | {"behavior": "Removed"}),
        ("added_tokens", [plain["added_tokens"][0] | {"lstrip": True}]),
    ):
        assert not is_word_level(plain | {key: value})
