"""The choices of a multiple-choice row, and its gold answer as a letter.

Choices are a list, an object by labels, lists of texts and labels (ARC), one text with labels
(`A) 1 B) 2`), or a column each (`A`, `B`, ...; `opa`, `opb`, ...). Labels decide the order and what
the gold answer means; the problem's text has the letters A, B, C, ... in their place.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

from tts_runtime.problems.model import BadRowError

#: Between a label and its choice where a text lists both: marks of Markdown and TeX.
_FILLER: Final = r"[\s$*_~{}\\,]{0,12}"
#: `A)`, `A )`, `(A)`, `A.`, `A:`; a full stop or colon before a letter may be part of the choice.
_LABELLED: Final = re.compile(r"[(\[]?([A-Za-z])(?: ?[)\]]|[.:](?![A-Za-z]))\s*(\S.*)", re.DOTALL)
_BARE_LABEL: Final = re.compile(
    r"(?:(?i:option|choice)[ _-]?)?[(\[]?([A-Za-z]|\d{1,2})[)\].:]?",
)
#: Texts as Python and JSON write them.
_ESCAPE: Final = r"""\\[\\'"]|\\u[0-9a-fA-F]{4}"""
QUOTED: Final = rf"""(?:'(?:[^'\\\n]|{_ESCAPE})*'|"(?:[^"\\\n]|{_ESCAPE})*")"""
#: Lists of texts as NumPy and pandas write them.
_ARRAY: Final = re.compile(r"\barray\((\[[^\[\]]*\]), dtype=object\)")
_SPACED: Final = re.compile(rf"\[\s*{QUOTED}(?:\s+{QUOTED})+\s*\]")
#: Names of a choice's text and label in an object of its own.
_TEXTS: Final = ("text", "value", "content", "option", "choice")
_LABELS: Final = ("label", "key", "id", "letter")
#: Columns of one choice each: `A`, `opa`, `option_a`, `Choice A`, `option1`.
_COLUMN: Final = re.compile(r"([A-Z])|(?i:opt?|option|choice)[ _-]?([A-Za-z]|[0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Choices:
    """The texts of the choices in order, and of each, how a gold answer may name it."""

    texts: list[str]
    labels: Sequence[str] = ()
    written: Sequence[str] = ()

    def letter(self, answer: str | None, raw: object) -> str | None:
        """The gold answer as a letter: of a label, an index from 0, or the choice's own text."""
        if isinstance(raw, float) and raw.is_integer():
            raw, answer = int(raw), str(int(raw))
        if answer is None:
            return None
        answer = self._whole(answer)
        if self.labels:
            label = _label(answer)
            if label in self.labels:
                return ascii_uppercase[self.labels.index(label)]
        if isinstance(raw, int) and not isinstance(raw, bool):
            place = self._place(raw)
            if place is not None:
                return ascii_uppercase[place]
        for names in (self.texts, self.written):
            if answer in names:
                return ascii_uppercase[names.index(answer)]
        place = self._place(int(answer)) if self._is_index(answer) else None
        return answer if place is None else ascii_uppercase[place]

    def _place(self, index: int) -> int | None:
        """The place of the choice with this index, which counts those that a table leaves empty."""
        # In every other question of the ACT they are F to J.
        if self.labels and "a" <= self.labels[0] <= "e":
            name = ascii_lowercase[index : index + 1]
            return self.labels.index(name) if name in self.labels else None
        return index if 0 <= index < len(self.texts) else None

    def _whole(self, text: str) -> str:
        """`2` for `2.0`, as tables write whole numbers of a column with gaps, if no choice is."""
        whole = re.fullmatch(r"([0-9]{1,2})\.0", text)
        return text if whole is None or text in self.texts else whole[1]

    def _is_index(self, answer: str) -> bool:
        """Whether a text is an index, as tables have it, and not the number of a choice."""
        if re.fullmatch(r"[0-9]{1,2}", answer) is None:
            return False
        number = re.compile(rf"(?<!\d){answer}(?!\d)")
        return not any(map(number.search, (*self.texts, *self.labels)))

    def check_index(self, value: object, name: str) -> None:
        """Refuses an index behind the last choice: those of the other rows may be wrong by one.

        So is one from 0 where the columns are numbered from 1.

        Raises:
            BadRowError: It is one.
        """
        text, count = str(value).removesuffix(".0"), len(self.texts)
        index = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
        if index is None or text in (*self.texts, *self.labels):
            return
        if self.labels and self.labels[0].isdigit():
            wrong = f"the choices are numbered {', '.join(self.labels)}: write these numbers"
        elif self._place(index) is not None:
            return
        elif index < count:
            wrong = "that choice is empty"
        else:
            wrong = f"an index of {count} choices counts from 0 to {count - 1}; write the letters"
            wrong += ", or subtract 1 in all rows if they count from 1"
        raise BadRowError(f"the field {name!r} is {text}, but {wrong}")

    def named_by(self, value: object) -> str | None:
        """The letter of the choice that a value names; None if it names none."""
        value = self._whole(value) if isinstance(value, str) else value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,2}", value):
            # No text of an answer: an index, also if a choice holds this number.
            value = value if value in self.texts else int(value)
        letter = self.letter(str(value), value) if isinstance(value, str | int) else None
        label = (_label(letter) or "").upper()
        return label if label in tuple(ascii_uppercase[: len(self.texts)]) else None

    def under(self, text: str) -> str:
        """The text with the choices below it, unless it lists them, each behind its letter."""
        end = 0
        for letter, choice in zip(ascii_uppercase, self.texts, strict=False):
            words = r"\s+".join(map(re.escape, choice.strip("$ .").split()))
            listed = re.compile(
                rf"(?<!\w)[(\[]?{letter}[)\].:}}]{_FILLER}[)\].:]?{_FILLER}{words}(?!\w)",
                re.IGNORECASE,
            ).search(text, end)
            if listed is None:
                break
            end = listed.end()
        else:
            return text
        lines = [f"{ascii_uppercase[n]}. {choice}" for n, choice in enumerate(self.texts)]
        return "\n".join([text.rstrip(), "", *lines])


def choices_in(value: object) -> Choices | None:
    """The choices that a field holds; None if it holds none."""
    if isinstance(value, str):
        if not value.strip().startswith(("[", "{")):
            return _of_text(value)
        value = _written(value.strip())
    texts, labels = _filled(*_texts_and_labels(value))
    if not 2 <= len(texts) <= len(ascii_uppercase):
        return None
    written = [str(each).strip() for each in texts]
    if labels is None:
        return _without_labels(written)
    order = list(range(len(labels)))
    for first in ("a", "1", "0"):
        run = [chr(ord(first) + n) if first == "a" else str(int(first) + n) for n in order]
        if sorted(labels) == sorted(run):
            order.sort(key=lambda place: run.index(labels[place]))
            break
    return _without_labels([written[place] for place in order], [labels[place] for place in order])


def _written(text: str) -> object:
    """The list or object that a table holds as text: JSON's, Python's, NumPy's `['x' 'y']`, or what
    pandas makes of a column of Parquet, `{'text': array(['x', 'y'], dtype=object)}`.

    None if it is none of them.
    """
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    text = _ARRAY.sub(lambda match: match[1], text)
    text = _SPACED.sub(lambda match: re.sub(rf"({QUOTED})\s+(?={QUOTED})", r"\1, ", match[0]), text)
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.literal_eval(text)
    return None


def columns(row: Mapping[str, Any], gold: object) -> dict[str, Any] | None:
    """The choices of a row that has a column for each, by their letters; None if it has none.

    Columns that are called `A`, `B`, ... alone may be anything: they are choices if the gold answer
    names one of them, or, of four or more, if there is no gold answer.
    """
    of_letters: dict[str, Any] = {}
    of_names: dict[str, Any] = {}
    for name, value in row.items():
        match = _COLUMN.fullmatch(name.strip())
        if match is not None and isinstance(value, str | int | float) and _is_filled(value):
            chosen = of_letters if match[1] else of_names
            chosen[(match[1] or match[2]).lower()] = value
    if len(of_names) > 1 and not of_names.keys().isdisjoint("a01"):
        return of_names
    if len(of_letters) < 2 or "a" not in of_letters:
        return None
    if _label(gold) in of_letters:
        return of_letters
    texts = [str(value).strip() for value in of_letters.values()]
    named = str(gold).strip() in texts if _is_filled(gold) else True
    return of_letters if named and len(texts) > 3 else None


def _is_filled(value: object) -> bool:
    return value is not None and value == value and value != [] and bool(str(value).strip())


def _filled(texts: list[Any], labels: list[str] | None) -> tuple[list[Any], list[str] | None]:
    """Without the places that a table fills up in rows with fewer choices than others.

    Before one that is filled they count, for a letter and for an index.
    """
    filled = [place for place, text in enumerate(texts) if _is_filled(text)]
    if labels is None and filled != list(range(len(filled))) and len(texts) <= len(ascii_lowercase):
        labels = list(ascii_lowercase[: len(texts)])
    plain = None if labels is None else [labels[place] for place in filled]
    return [texts[place] for place in filled], plain


def labels(text: str, answer: object) -> bool:
    """Whether a text of choices has a gold answer's letter as a label."""
    letter = re.fullmatch(r"\(?([A-Za-z])\)?\.?", str(answer).strip())
    return (
        letter is not None and re.search(rf"(?<!\w){letter[1]}(?: ?[)\]]|[.:])", text) is not None
    )


def _texts_and_labels(value: object) -> tuple[list[Any], list[str] | None]:
    """The texts as they are, and their labels if each has one of its own."""
    labels: list[Any] = []
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), list):
            texts, labels = value["text"], value.get("label") or value.get("labels") or []
        else:
            texts, labels = list(value.values()), list(value)
    elif isinstance(value, list):
        pairs = _pairs(value) or [_text_and_label(each) for each in value]
        texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    else:
        return [], None
    plain = [_label(each) for each in labels] if isinstance(labels, list) else []
    usable = len(plain) == len(texts) == len(set(plain)) and None not in plain
    return texts, [each for each in plain if each is not None] if usable else None


def _text_and_label(choice: Any) -> tuple[Any, Any]:
    """The text of one choice in a list, and its label if it has one.

    Also `{"key": "B", "value": ...}` (MedQA) and `{"B": ...}`.
    """
    if isinstance(choice, Mapping):
        if len(choice) == 1 and "text" not in choice:
            [(label, text)] = choice.items()
            return text, label
        text, label = (
            next((choice[name] for name in names if name in choice), None)
            for names in (_TEXTS, _LABELS)
        )
        return text, label
    return choice, None


def _pairs(choices: list[Any]) -> list[tuple[Any, Any]] | None:
    """Texts and labels of the pairs of a map of Parquet; `[1, 2]` may be an answer itself."""
    if not all(isinstance(each, list) and len(each) == 2 for each in choices):
        return None
    letters = "".join(str(label) for label, _ in choices).lower()
    ordered = "".join(sorted(letters)) == ascii_lowercase[: len(choices)]
    return [(text, label) for label, text in choices] if ordered else None


def _label(value: object) -> str | None:
    """`B`, `(b)`, `2.` as plain labels."""
    match = _BARE_LABEL.fullmatch(str(value).strip())
    return None if match is None else match[1].lower()


def _without_labels(written: list[str], labels: Sequence[str] = ()) -> Choices:
    """Choices, without the labels in front of them if these are theirs, or A, B, C, ..."""
    parts = [_LABELLED.fullmatch(each) for each in written]
    rest = [part[2].strip() for part in parts if part is not None]
    letters = "".join(part[1] for part in parts if part is not None).lower()
    in_order = letters == ("".join(labels) or ascii_lowercase[: len(written)])
    # `(A) only`, `(B) only` name what the question lists: no labels.
    if in_order and len(set(rest)) == len(rest):
        return Choices(rest, labels, written)
    return Choices(written, labels)


def _of_text(text: str) -> Choices | None:
    """The choices of one text, each behind its label, or with a `|` or line break between two; None
    if it is not plain which these are."""
    first = re.match(r"\s*([(\[]?)([Aa1])( ?[)\]]|[.:])", text)
    if first is None:
        between = (
            r"(?:\s\|)?\s*?\n" if "\n" in text.strip() else r"\|"
        )  # `P(A|B)` in a line of its own
        texts = [piece.strip() for piece in re.split(between, text.strip())]
        lines = all(texts) and not any(each.endswith(":") for each in texts)
        return Choices(texts) if 1 < len(texts) <= len(ascii_uppercase) and lines else None
    before, after = re.escape(first[1]), re.escape(first[3])
    label = {"A": "[A-Z]", "a": "[a-z]", "1": "[0-9]{1,2}"}[first[2]]
    pieces = re.split(rf"(?<!\S){before}({label}){after}(?!\d)", text)
    labels, texts = pieces[1::2], [piece.strip(" \t\r\n,;|") for piece in pieces[2::2]]
    if len(texts) < 2 or not all(texts):
        return None
    if first[2] == "1":
        return (
            Choices(texts, labels) if labels == [str(n + 1) for n in range(len(labels))] else None
        )
    return Choices(texts) if "".join(labels).upper() == ascii_uppercase[: len(texts)] else None
