"""The tokenizer of both models: characters, and a few longer tokens where they save length.

Encoding never fails (an unknown character becomes `<unk>`), and decoding is the concatenation of
the tokens' texts, so ids can be decoded piece by piece.
"""

import json
import re
from functools import cache
from pathlib import Path

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNK)
# Longest first where one is a prefix of another: the split takes the first alternative.
PIECES = (
    "\n\n",
    "<think>",
    "</think>",
    "Wait",
    "The answer is ",
    "\\boxed{",
    "Final Answer:",
    "Start with ",
    " (mod 100)",
    "Q: ",
    "\nA: ",
    "; ",
    "Earlier attempts, the latest last:",
    "Attempt ",
    "Correct the latest attempt.",
    *(f"{letter}: " for letter in "abcdefghij"),
)
CHARACTERS = ("\n", *(chr(code) for code in range(32, 127)))
CONTEXT = 1024


@cache
def vocabulary() -> dict[str, int]:
    """Token text to id."""
    return {token: index for index, token in enumerate((*SPECIAL, *PIECES, *CHARACTERS))}


def split_pattern() -> str:
    """The regular expression whose matches are the tokens of a text."""
    return "|".join([*(re.escape(piece) for piece in PIECES), r"[\s\S]"])


@cache
def _split() -> re.Pattern[str]:
    return re.compile(split_pattern())


def encode(text: str) -> list[int]:
    """The same ids as the saved tokenizer, without loading it (for data generation)."""
    ids = vocabulary()
    unknown = ids[UNK]
    return [ids.get(piece, unknown) for piece in _split().findall(text)]


@cache
def token_texts() -> tuple[str, ...]:
    """Id to token text."""
    return (*SPECIAL, *PIECES, *CHARACTERS)


def decode(ids: list[int]) -> str:
    """The concatenation of the tokens' texts."""
    texts = token_texts()
    return "".join(texts[index] for index in ids)


def save_tokenizer(folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` in the Hugging Face format."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary(), unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(split_pattern()), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "bos_token": BOS,
        "eos_token": EOS,
        "unk_token": UNK,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
