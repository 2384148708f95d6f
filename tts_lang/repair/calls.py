"""Calls of functions by another name, or with arguments in another form."""

from __future__ import annotations

from collections.abc import Sequence

from tts_lang.repair.parts import Item, of_rows
from tts_lang.repair.scope import KnownNames, words

_STEPS = words("mean last prod sum min max first argmin argmax")
_POOL = words("mean sum min max std first")
_SIZES = words("count share lead entropy")


def called(
    name: str, arguments: Sequence[Item], names: KnownNames, *, aggregates: bool
) -> Item | None:
    """The value of a call, or `None` if it is none (a verb written as a call, say)."""
    kinds = [each.kind for each in arguments]
    texts = [of_rows(each, names) for each in arguments]
    first = arguments[0] if arguments else None
    if not arguments:
        draws = name in {"uniform", "normal", "gumbel"}
        return Item("row", f"{name}()") if draws else None
    assert first is not None
    if name == "uniform":
        return Item("row", "uniform()")
    if name in {"median", "percentile", "quantile"}:
        share = "0.5" if len(arguments) < 2 else _share(texts[1])
        kind = "num" if kinds[0] == "of" else "row"
        inside = first.text if kinds[0] == "scorer" else texts[0]
        return Item(kind, f"quantile({inside}, {share})") if kinds[0] != "pool" else None
    if kinds == ["of"] and name in {"head", "take"}:
        name = "first"
    if kinds == ["of"] and name == "softmax":
        return Item("row", f"softmax({first.text.partition(' of ')[0]})")
    if kinds == ["of"]:
        if name == "argmax" or (not aggregates and name in {"max", "min"}):
            return None
        if name in {"count", "share", "lead"}:
            return None
        return Item("num", f"{name}({first.text})")
    if name in _SIZES and kinds == ["pool"]:
        return Item("num", f"{name}({first.text})")
    if name == "count" and len(arguments) == 1 and first.text in {"text", "tokens"}:
        return Item("row", "tokens")
    if name == "count" and first.text == "steps":
        return Item("row", "steps")
    if name == "count" and kinds == ["flag"]:
        return Item("num", f"count({names.pools[0]} where {first.text})")
    if name == "count":
        return None
    if kinds == ["steps"]:
        return Item("row", f"{name}({first.text})")
    if name == "std" and kinds == ["scorer"]:
        return Item("num", f"std({texts[0]} of {names.pools[0]})")
    if name in _STEPS and kinds == ["scorer"]:
        if first.text in names.steps | names.judges:
            return Item("row", f"{name}({first.text})")
        if name in {"argmax", "argmin"}:
            return None
        if name in {"sum", "std"} or (aggregates and name in _POOL):
            return Item("num", f"{name}({first.text} of {names.pools[0]})")
        return Item("scorer", first.text, frozenset({f"reduced {name}"}))
    if name in {"argmax", "argmin"} and kinds == ["row"]:
        return None
    if name in _POOL and aggregates and kinds == ["row"]:
        return Item("num", f"{name}({texts[0]} of {names.pools[0]})")
    if name in _POOL and kinds == ["pool"]:
        return None
    if name in _POOL and len(arguments) == 2 and "pool" in kinds:
        if not aggregates:
            return None
        row, pool = (texts[0], texts[1]) if kinds[1] == "pool" else (texts[1], texts[0])
        return Item("num", f"{name}({row} of {pool})")
    if name in {"min", "max"} and len(arguments) == 2 and {*kinds} <= {"num", "row", "scorer"}:
        return Item("num" if {*kinds} == {"num"} else "row", f"{name}({texts[0]}, {texts[1]})")
    if name in {"min", "max"} and len(arguments) > 2 and {*kinds} <= {"num", "row", "scorer"}:
        inner = called(name, arguments[1:], names, aggregates=aggregates)
        if inner is None:
            return None
        return called(name, [first, inner], names, aggregates=aggregates)
    if name in _POOL:
        return None
    if name == "pow" and len(arguments) == 2:
        return Item(kinds[0], f"{texts[0]} ** {texts[1]}", simple=False)
    if name == "sigmoid":
        return Item("row", f"1 / (1 + exp(-{texts[0]}))", simple=False)
    if name in {"empty", "missing", "isnull"} and kinds[0] in {"row", "text"}:
        return Item("flag", f"not has({texts[0]})", simple=False)
    if name == "exists":
        return Item("flag", f"has({texts[0]})")
    if name == "entropy" or "pool" in kinds or "of" in kinds:
        return None
    if name == "has":
        return Item("flag", f"has({texts[0]})")
    if first.kind == "scorer" and name in {"nth", "take", "first_below"}:
        texts[0] = first.text
    if name == "round":
        name, texts = "floor", [f"{texts[0]} + 0.5"]
    kind = "num" if set(kinds) == {"num"} else "row"
    return Item(kind, f"{name}({', '.join(texts)})")


def _share(text: str) -> str:
    """A part from 0 to 1: percentiles are numbers to 100."""
    if text.isdecimal() and int(text) > 1:
        return f"{int(text) / 100:g}"
    return text
