r"""A row's fields as a problem: its text, id and gold answer.

Data sets call the same thing by many names; the first name that a row has, and that is not empty,
is used, capitals and `_` apart (`FieldNames` overrides them). A gold answer may stand in

* an answer's field: a number stands for itself (`27.0` is `27`), a list for all its members, also
  as tables write it, `['5', '7']`;
* a text that ends in `#### 18`: what follows (GSM8K);
* a text or a worked solution with a box: what it boxes. A solution without one gives no gold
  answer;
* where the row has no such field, `answers` with one member, `reward_model` (verl), or the reply
  to the problem, which is a worked solution.

With choices, they are part of the problem's text, and the gold answer is a letter.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tts_lang.diagnostics import did_you_mean
from tts_runtime.answers import extract_answer
from tts_runtime.binding import Messages
from tts_runtime.problems.choices import QUOTED, choices_in, columns, labels
from tts_runtime.problems.layouts import LAYOUTS
from tts_runtime.problems.model import BadRowError, Problem, json_type

_FINAL_ANSWER: Final = "####"
_SOLUTION: Final = "solution"
_CHOICES: Final = ("choices", "options", "endings")
#: Roles of messages by their other names: OpenAI's, ShareGPT's.
_ROLES: Final = {"developer": "system", "human": "user", "gpt": "assistant"}
#: Texts in brackets, as Python and JSON write them, with a comma between two.
_LIST: Final = re.compile(rf"\s*\[\s*{QUOTED}(?:\s*,\s*{QUOTED})*\s*\]\s*")
#: Where rows with choices have the gold answer, if in no field of an answer.
_GOLD_CHOICE: Final = (
    "correct",
    "label",
    "cop",
    "answer_idx",
    "answer_index",
    "correct_option",
)


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Names of the fields of a row; the first that the row has, and that is not empty, is used."""

    id: tuple[str, ...] = (
        "id",
        "unique_id",
        "task_id",
        "problem_id",
        "question_id",
        "problem_idx",
        "qid",
        "record_id",
        "index",
        "idx",
    )
    text: tuple[str, ...] = (
        "problem",
        "question",
        "prompt",
        "input",
        "query",
        "instruction",
        "problem_text",
        "question_text",
        "question_stem",
        "question_content",
        "original_text",
        "messages",
        "conversations",
        "text",
        "ctx",
        "sentence",
    )
    answer: tuple[str, ...] = (
        "answer_number",  # of MGSM, beside an `answer` in words
        "answer",
        "final_answer",
        "extracted_groundtruth",
        "gold",
        "gold_answer",
        "gt_answer",
        "ground_truth",
        "ground_truth_answer",
        "expected_answer",
        "expected",
        "correct_answer",
        "reference_answer",
        "target",
        "answer_key",
        "answerkey",
        "short_answer",
        "output_answer",
        "final_ans",
        "ans",
        "golden",
        _SOLUTION,
    )


#: Parts of a problem in `--fields`.
PARTS: Final = {"problem": "text", "answer": "answer", "id": "id"}


def field_names(texts: Sequence[str]) -> FieldNames:
    """The names of `--fields problem=Problem,answer=Answer`; others stay as they are.

    Raises:
        ValueError: Not of this form.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for text in filter(None, (part.strip() for each in texts for part in each.split(","))):
        part, equals, name = (piece.strip() for piece in text.partition("="))
        if not equals or not name:
            raise ValueError(f"`{text}`: expected PART=FIELD, for example problem=Question")
        if part not in PARTS:
            hint = did_you_mean(part, PARTS) or f"it is one of {', '.join(PARTS)}"
            raise ValueError(f"`{text}`: a problem has no part `{part}`; {hint}")
        chosen[PARTS[part]] = (name,)
    return FieldNames(**chosen)


def problem_of(row: Mapping[str, Any], default_id: str, names: FieldNames) -> Problem:
    """The problem of a row.

    Raises:
        BadRowError: Which field is missing or wrong, and what to do.
    """
    layout = next((each for each in LAYOUTS if each.fits(row)), None)
    grader = None if layout is None else layout.grader
    there = row
    if layout is not None:
        row = _mapped(layout.as_usual(row), row, names)
    text_name = _first_field(row, names.text)
    if text_name is None:
        raise BadRowError(_no_text(there, names))
    text, before, reply = _text(row[text_name], text_name)
    id_name = _first_field(row, names.id)
    others = {name: value for name, value in row.items() if name != text_name}
    answer_name = _first_field(others, names.answer)
    problem_id = default_id if id_name is None else _id(row[id_name], id_name)
    answer = None if answer_name is None else _answer(row[answer_name], answer_name)
    if _is_empty(_value(row, answer_name)) and not _is_chosen(names, "answer"):
        answer = _answer_elsewhere(others, reply)
    choices_name = _first_field(row, _CHOICES)
    listed = _value(row, choices_name)
    gold_name = answer_name if answer is not None else _first_field(others, _GOLD_CHOICE)
    by_column = None
    if _is_empty(listed):
        listed = by_column = columns(others, _value(row, gold_name) or answer)
    choices = choices_in(listed)
    if choices is not None:
        from_one = by_column is not None or choices.labels[:1] == ["1"]
        if gold_name is not None and (from_one or plain_name(gold_name) in _GOLD_CHOICE):
            choices.check_index(row[gold_name], gold_name)
        answer = choices.letter(answer, _value(row, answer_name))
        if answer is None:
            answer_name = gold_name
            answer = choices.named_by(_value(row, answer_name))
        text = choices.under(text)
    elif isinstance(listed, str) and labels(listed, _value(row, gold_name) or answer):
        if answer is None:
            answer_name, answer = gold_name, str(_value(row, gold_name)).strip()
        text, grader = f"{text.rstrip()}\n\n{listed.strip()}", "choice"
    for value in (text, problem_id, answer or "", *(content for _, content in before)):
        _check_characters(value)
    used = {text_name, id_name, answer_name}
    fields = {key: row[key] for key in row if key not in used}
    if choices is not None:
        fields["choices"] = choices.texts
        grader = "choice"
    return Problem(problem_id, text, answer, MappingProxyType(fields), grader, before)


def with_parts(row: dict[str, Any], names: FieldNames) -> dict[str, Any]:
    """The row with fields of its own for names such as `reward_model.ground_truth`."""
    for name in (*names.id, *names.text, *names.answer):
        if "." in name and name not in row:
            value: Any = row
            for part in name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            row = row if value is None else {**row, name: value}
    return row


def _answer_elsewhere(row: Mapping[str, Any], reply: str | None) -> str | None:
    """The gold answer of a row that has no field of an answer.

    Several `answers` are not read: some sets want all of them, in others one is enough.
    """
    reward = row.get("reward_model")  # verl, DAPO
    gold = reward.get("ground_truth") if isinstance(reward, Mapping) else None
    listed = row.get("answers")
    if gold is None:
        gold = listed[0] if isinstance(listed, list) and len(listed) == 1 else listed
    # A program's tests are no answer.
    if isinstance(gold, str | int | float) and not str(gold).startswith('{"'):
        return _answer(gold, "answer")
    return None if reply is None else _answer(reply, _SOLUTION)


def is_problem(value: Mapping[str, Any], names: FieldNames) -> bool:
    """Whether an object is a problem itself, not one that holds problems under some name.

    A holder may have an `instruction` or a `text` beside its rows, but no answer.
    """
    name = _first_field(value, names.text)
    text = None if name is None else value[name]
    if isinstance(text, list):
        return is_chat(text)
    if name is None or not isinstance(text, str) or not text.strip():
        return False
    plain = _is_chosen(names, "text") or plain_name(name) in names.text[:2]
    answer = _first_field(value, names.answer)
    return plain or (answer is not None and not _is_empty(value[answer]))


def unused(fields: Mapping[str, object], names: FieldNames) -> str | None:
    """The mistake of names that were chosen and that none of the rows' fields has; else None."""
    for part, attribute in PARTS.items():
        chosen = getattr(names, attribute)
        if _is_chosen(names, attribute) and fields and _first_field(fields, chosen) is None:
            hint = did_you_mean(chosen[0], fields)
            there = ", ".join(map(repr, list(fields)[:20]))
            return (
                f"`--fields {part}={chosen[0]}`: no row has a field {chosen[0]!r}; "
                f"{hint or f'the fields are {there}'}"
            )
    return None


def _is_chosen(names: FieldNames, attribute: str) -> bool:
    return bool(getattr(names, attribute) != getattr(FieldNames(), attribute))


def _mapped(usual: dict[str, Any], row: Mapping[str, Any], names: FieldNames) -> dict[str, Any]:
    """The row of a layout, with the fields of its own that `names` chooses in place of these."""
    for part, attribute in PARTS.items():
        name = _first_field(row, getattr(names, attribute))
        if _is_chosen(names, attribute) and name is not None:
            if part not in row:
                usual.pop(part, None)
            usual[name] = row[name]
    return usual


def plain_name(name: str) -> str:
    """A field's name as it is looked up: `Record ID` is `record_id`."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _first_field(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these names that a row has a value for; as written first, then as it sounds."""
    empty = None
    by_sound = {plain_name(name): name for name in reversed(list(row))}
    for name in names:
        actual = name if name in row else by_sound.get(plain_name(name))
        if actual is None:
            continue
        if not _is_empty(row[actual]):
            return actual
        empty = empty or actual
    return empty


def _value(row: Mapping[str, Any], name: str | None) -> Any:
    return None if name is None else row[name]


def _is_empty(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)  # how tables of numbers write that there is none
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _no_text(row: Mapping[str, Any], names: FieldNames) -> str:
    expected = " or ".join(map(repr, names.text[:2]))
    there = ", ".join(map(repr, list(row)[:20])) or "none"
    return (
        f"no field {expected}; the fields are {there}: say which holds the text, for example "
        f"`--fields problem={next(iter(row), 'NAME')}`"
    )


def _text(value: object, name: str) -> tuple[str, Messages, str | None]:
    """The problem's text; of a chat's last turn, the messages before it, and the reply to it."""
    if isinstance(value, list):
        messages = [_message(each, name) for each in value]
        places = [place for place, (role, _) in enumerate(messages) if role == "user"]
        if not places:
            raise BadRowError(f"the field {name!r} has no turn of a user")
        *before, (_, text) = messages[: places[-1] + 1]
        replies = [text for role, text in messages[places[-1] + 1 :] if role == "assistant"]
        roles = [role for role, _ in before]
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if turns != ["user", "assistant"] * (len(turns) // 2):
            raise BadRowError(
                f"the messages of {name!r} are of {', '.join([*roles, 'user'])}: they must be of "
                "user and assistant in turn, perhaps with one of system at first"
            )
        return text, tuple(before), replies[-1] if replies else None
    if not isinstance(value, str) or not value.strip():
        raise BadRowError(f"the field {name!r} must be a text that is not empty")
    return value, (), None


def is_chat(value: object) -> bool:
    """Whether a value is the messages of a chat; ORZ's last one has a `ground_truth` only."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(each, dict)
            and (
                "role" in each
                or ("from" in each and not {"value", "ground_truth"}.isdisjoint(each))
            )
            for each in value
        )
    )


def _message(value: object, name: str) -> tuple[str, str]:
    role: object = ""
    text: object = ""
    if isinstance(value, dict):
        role, text = value.get("role"), value.get("content")
        if "role" not in value:
            role, text = value.get("from"), value.get("value")
    if isinstance(text, list):
        text = "\n".join(_part(each, name) for each in text)
    if not isinstance(role, str) or not isinstance(text, str) or not role or not text.strip():
        raise BadRowError(
            f"the field {name!r} must be a text, or messages with `role` and `content` (or `from` "
            "and `value`), none empty"
        )
    return _ROLES.get(role, role), text


def _part(value: object, name: str) -> str:
    """The text of a message's part; other parts are images, sounds or calls of tools."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    kind = value.get("type") if isinstance(value, dict) else value
    raise BadRowError(f"a message of {name!r} has a part that is no text: {kind!r:.40}")


def _id(value: object, name: str) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # a column of numbers with a gap
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    raise BadRowError(f"the field {name!r} must be a text or a whole number, not empty")


def _answer(value: object, name: str) -> str | None:
    if _is_empty(value):
        return None
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise BadRowError(f"the field {name!r} is too large for a number; write it as a text")
        # From 2^53 on, a float has digits that nobody wrote: 1e23 would be 99999999999999991611392.
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        parts = [_answer(each, name) for each in value]
        return ", ".join(part for part in parts if part) or None
    if not isinstance(value, str):
        parts = list(value) if isinstance(value, Mapping) else []
        part = "value" if "value" in parts else next(iter(parts), None)
        hint = (
            "" if part is None else f"; one of its parts may be it: `--fields answer={name}.{part}`"
        )
        raise BadRowError(
            f"the field {name!r} must be a text or a number, not a JSON {json_type(value)}{hint}"
        )
    members = _members(value)
    if members is not None:
        return _answer(members, name)
    _, marker, final = value.rpartition(_FINAL_ANSWER)
    if marker:
        return final.strip() or None
    if plain_name(name) == _SOLUTION:
        return extract_answer(value, finish="cut")
    # Some sets have the worked solution here, too.
    boxed = extract_answer(value, finish="cut") if r"\boxed" in value else None
    return boxed or value.strip() or None


def _members(text: str) -> list[str] | None:
    r"""The texts of a list that a table holds as text, `['5', '7']`.

    None for other brackets, such as intervals, for texts with TeX's `\` as it is, and for NumPy's
    way of writing, `['5' '7']`, which Python would take for `57`.
    """
    if _LIST.fullmatch(text) is None:
        return None
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return value if texts else None


def _check_characters(value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRowError(
            f"half a character (\\u{ord(value[error.start]):04x}) in {value[:40]!a}; "
            "write the whole surrogate pair"
        ) from error
