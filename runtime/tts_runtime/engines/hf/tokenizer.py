"""Tokenizers of Hugging Face folders (`tokenizer.json`), as the runtime needs them.

Texts are bytes here: every id has its bytes, so a path can be decoded id by id, however the
vocabulary writes bytes (plain text, GPT-2's byte alphabet, SentencePiece's `▁` and `<0x0A>`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.word_level import WordLevelTokenizer, is_word_level

_BYTE_TOKEN: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE: Final = "▁"
#: Added tokens that control a conversation although their tokenizer does not mark them special.
_TURN: Final = re.compile(r"<[|｜].*[|｜]>", re.DOTALL)
_CONTROL: Final = re.compile(r"<[|｜].*[|｜]>|</?think>|</?tool_\w+>|\[/?[A-Z_]+\]", re.DOTALL)


class HuggingFaceTokenizer:
    """A tokenizer from a model folder.

    Args:
        folder: Where `tokenizer.json` is.
        visible: Special tokens that are nevertheless part of texts (delimiters of thinking).

    Raises:
        EngineError: No tokenizer there, or one that cannot be read.
    """

    def __init__(self, folder: Path, visible: Collection[str] = ()) -> None:
        path = folder / "tokenizer.json"
        try:
            data = path.read_bytes()
            self._settings: dict[str, Any] = json.loads(data)
            self._backend = _backend(self._settings, data)
        except FileNotFoundError as error:
            raise EngineError(
                f"{path}: cannot be read ({error.strerror}); a fast tokenizer is needed, which "
                "transformers makes of a slow one: `AutoTokenizer.from_pretrained(X)"
                ".save_pretrained(X)` with X the model's folder"
            ) from error
        except OSError as error:
            raise EngineError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise EngineError(f"{path}: is not a tokenizer: {error}") from error
        self._visible = frozenset(visible)
        self._fingerprint = blake2b(data, digest_size=16).hexdigest()

    @property
    def fingerprint(self) -> str:
        """A hash of the tokenizer's file."""
        return self._fingerprint

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text; special tokens in it are recognised, none is added."""
        return tuple(self._backend.encode(text, add_special_tokens=False).ids)

    def guarded(
        self, text: str, spans: Sequence[tuple[int, int]], *, continued: bool = False
    ) -> tuple[int, ...]:
        """Ids of a text, control tokens only where they lie in one of these spans of it.

        `continued`: it stands behind another text, so that no space is added before it.

        Names of control tokens elsewhere are split in two, so that their parts are encoded as plain
        text.

        Raises:
            EngineError: A name of one character, which cannot be split, or a character that becomes
                the token for unknown ones.
        """
        ids: list[int] = []
        waiting = [(0, len(text))]
        while waiting:
            begin, end = waiting.pop()
            found, places = self._piece(text[begin:end], continued=continued or begin > 0)
            cuts = []
            for token, (start, stop) in zip(found, places, strict=True):
                if token in self._control_ids and not any(
                    first <= begin + start and begin + stop <= last for first, last in spans
                ):
                    cuts.append(begin + self._inside(text[begin + start : begin + stop]) + start)
            if not cuts:
                ids += found
                continue
            borders = sorted({begin, *cuts, end})
            waiting += reversed(list(pairwise(borders)))
        return tuple(ids)

    def _piece(self, text: str, *, continued: bool) -> tuple[list[int], Sequence[tuple[int, int]]]:
        """Ids of a piece of a text and their positions; `continued`: something is before it."""
        if continued and self._prepends:
            # After a line break, no space is added before the first word.
            line = self._backend.encode("\n", add_special_tokens=False).ids
            encoded = self._backend.encode("\n" + text, add_special_tokens=False)
            if encoded.ids[: len(line)] == line:
                places = [(start - 1, stop - 1) for start, stop in encoded.offsets[len(line) :]]
                return encoded.ids[len(line) :], places
        encoded = self._backend.encode(text, add_special_tokens=False)
        return encoded.ids, encoded.offsets

    def _inside(self, written: str) -> int:
        """Where to split what became a control token: a position inside its name."""
        named = next((name for name in self._control_names if name in written), None)
        name = named or written
        if len(name) < 2:
            why = (
                "for which this tokenizer has no token"
                if named is None
                else "which this tokenizer reads as a control token whatever surrounds it"
            )
            raise EngineError(f"a text contains {written!r}, {why}")
        return written.index(name) + 1

    @cached_property
    def _prepends(self) -> bool:
        """It writes a space before the first word of a text."""
        ids = self._backend.encode("a", add_special_tokens=False).ids
        return b"".join(self.pieces[token] for token in ids) != b"a"

    @cached_property
    def _control_names(self) -> Sequence[str]:
        """Names of tokens that untrusted texts must not become, long ones first."""
        names = {
            token["content"]
            for token in self._settings.get("added_tokens", ())
            if token["special"]
            or _CONTROL.fullmatch(token["content"])
            or any(token["content"] in shown for shown in self._visible)
        }
        return sorted(names, key=len, reverse=True)

    @cached_property
    def _control_ids(self) -> frozenset[int]:
        names = self._control_names
        return frozenset(
            token["id"]
            for token in self._settings.get("added_tokens", ())
            if token["content"] in names
        )

    def spans(self, text: str, *, special: bool) -> tuple[list[int], list[int]]:
        """Ids of a text, and where in it (in characters) each of them ends.

        `special` adds the tokens that the tokenizer puts around every text (a beginning of
        sequence).
        """
        encoded = self._backend.encode(text, add_special_tokens=special)
        return list(encoded.ids), [end for _, end in encoded.offsets]

    def token(self, text: str) -> int | None:
        """The id of a vocabulary entry, by its text in the vocabulary."""
        found: int | None = self._backend.token_to_id(text)
        return found

    def name(self, token: int) -> str | None:
        """The vocabulary's text of an id."""
        found: str | None = self._backend.id_to_token(token)
        return found

    @cached_property
    def controls(self) -> frozenset[str]:
        """Texts that the tokenizer reads as special tokens, or as marks like `<｜User｜>`."""
        added = self._settings.get("added_tokens", ())
        return frozenset(
            token["content"]
            for token in added
            if token["special"] or _TURN.fullmatch(token["content"])
        )

    @cached_property
    def pieces(self) -> Sequence[bytes]:
        """The bytes of every id; none for special tokens."""
        vocabulary: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        added = {token["id"]: token for token in self._settings.get("added_tokens", ())}
        pieces = [b""] * (max(vocabulary.values(), default=-1) + 1)
        to_bytes, added_to_bytes = self._spellings()
        for text, token in vocabulary.items():
            if token not in added:
                pieces[token] = to_bytes(text)
            elif any(text in shown for shown in self._visible):
                pieces[token] = text.encode()
            elif not added[token]["special"]:
                pieces[token] = added_to_bytes(text)
        return tuple(pieces)

    def _spellings(self) -> tuple[Callable[[str], bytes], Callable[[str], bytes]]:
        """How entries of the vocabulary and added tokens are written as bytes.

        Byte-level tokenizers add tokens as plain text; SentencePiece's write a space as `▁` in
        them too (Gemma's runs of spaces are added tokens).
        """
        kinds = _kinds(self._settings.get("decoder")) | _kinds(self._settings.get("pre_tokenizer"))
        if "ByteLevel" in kinds:
            alphabet = _byte_alphabet()

            def to_bytes(text: str) -> bytes:
                return b"".join(alphabet.get(letter) or letter.encode() for letter in text)

            return to_bytes, str.encode
        if "ByteFallback" in kinds or "Metaspace" in kinds:
            return _sentencepiece_bytes, _sentencepiece_bytes
        return str.encode, str.encode


def _backend(settings: object, data: bytes) -> Any:
    if isinstance(settings, dict) and is_word_level(settings):
        return WordLevelTokenizer(settings)
    from tokenizers import Tokenizer  # not needed for the bundled models

    return Tokenizer.from_buffer(data)


def _sentencepiece_bytes(text: str) -> bytes:
    match = _BYTE_TOKEN.fullmatch(text)
    return bytes([int(match[1], 16)]) if match else text.replace(_SPACE, " ").encode()


def _kinds(component: dict[str, Any] | None) -> set[str]:
    """Types of a component and of those that it is a sequence of."""
    if component is None:
        return set()
    parts = component.get("decoders") or component.get("pretokenizers") or ()
    return {component["type"]}.union(*(_kinds(part) for part in parts))


def _byte_alphabet() -> dict[str, bytes]:
    """GPT-2's letters for bytes: printable ones stand for themselves, the rest follows 255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): bytes([byte]) for byte in printable}
    return letters | {chr(256 + number): bytes([byte]) for number, byte in enumerate(others)}
