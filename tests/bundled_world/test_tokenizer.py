"""Round trips of the tokenizer, and agreement of the saved file with the fast encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundled import tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BUNDLED = Path(__file__).resolve().parents[2] / "runtime" / "bundled"
PIECES = st.sampled_from((*tokenizer.PIECES, *tokenizer.CHARACTERS))
COVERED = st.lists(PIECES, max_size=40).map("".join)


@pytest.fixture(scope="module")
def saved() -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(BUNDLED / "policy")
    return loaded


@settings(deadline=None, derandomize=True, max_examples=100)
@given(text=COVERED)
def test_covered_text_survives_a_round_trip(saved: PreTrainedTokenizerBase, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert saved(text)["input_ids"] == ids
    assert saved.decode(ids, clean_up_tokenization_spaces=False) == text
    assert "".join(saved.convert_ids_to_tokens(ids)) == text


@settings(deadline=None, derandomize=True, max_examples=60)
@given(text=st.text(max_size=30))
def test_any_text_encodes(saved: PreTrainedTokenizerBase, text: str) -> None:
    ids = saved(text)["input_ids"]
    if not any(special in text for special in tokenizer.SPECIAL):
        assert ids == tokenizer.encode(text)
    unknown = tokenizer.vocabulary()[tokenizer.UNK]
    covered = [character for character in text if character in tokenizer.CHARACTERS]
    if len(covered) < len(text):
        assert unknown in ids


def test_the_pieces_that_save_length_are_single_tokens() -> None:
    for piece in tokenizer.PIECES:
        assert len(tokenizer.encode(piece)) == 1
    assert [tokenizer.token_texts()[i] for i in tokenizer.encode("a: 17*3=51\n\n")] == [
        *("a: ", "1", "7", "*", "3", "=", "5", "1", "\n\n")
    ]


def test_both_models_share_the_tokenizer() -> None:
    files = [(BUNDLED / name / "tokenizer.json").read_bytes() for name in ("policy", "prm")]
    assert files[0] == files[1]


def test_saving_reproduces_the_shipped_file(tmp_path: Path) -> None:
    tokenizer.save_tokenizer(tmp_path)
    shipped = BUNDLED / "policy" / "tokenizer.json"
    assert (tmp_path / "tokenizer.json").read_bytes() == shipped.read_bytes()
