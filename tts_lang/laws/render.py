"""Judgements of laws as text and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from tts_lang.laws.statements import shown_values
from tts_lang.laws.verdicts import Counterexample, Instance, Judgement, Verdict


def text_of(judgements: Sequence[Judgement], *, show: bool) -> str:
    """A paragraph a law; `show` adds normal forms."""
    return "".join(f"{line}\n" for each in judgements for line in _lines(each, show))


def _lines(judgement: Judgement, show: bool) -> Iterator[str]:
    place = f"{judgement.place}: " if judgement.place else ""
    yield f"{place}{judgement.verdict.value}: {judgement.title}"
    proved = [each for each in judgement.instances if each.verdict is Verdict.PROVED]
    hunted = [each for each in judgement.instances if each.verdict is Verdict.UNREFUTED]
    if judgement.instances[0].values:
        for word, instances in (("proved", proved), ("hunted", hunted)):
            if instances:
                listed = "; ".join(shown_values(dict(each.values)) for each in instances)
                yield from _wrapped(f"{word} at {_short(instances, listed)}")
        if judgement.left_out:
            yield from _wrapped(f"does not compile at {'; '.join(judgement.left_out)}")
    if judgement.verdict is Verdict.UNREFUTED:
        trials = sum(each.hunt.trials for each in hunted if each.hunt)
        failed = sum(each.hunt.failed for each in hunted if each.hunt)
        note = f"note: not proved; no counterexample in {trials} trials"
        smaller = ", ".join(dict.fromkeys(text for each in hunted for text in each.scaled))
        if any(each.hunt and each.hunt.counterexample for each in hunted):
            doubt = f"scaled down ({smaller}), the two differ, so this is probably false"
            note = f"note: not proved; {doubt}"
        elif smaller:
            note += f" of smaller strategies, scaled down since these are too large ({smaller})"
        yield from _wrapped(note + (f" ({failed} more failed with an error)" if failed else ""))
        errors = dict.fromkeys(each.hunt.error for each in hunted if each.hunt and each.hunt.error)
        for error in errors if failed > trials else ():
            yield from _wrapped(f"note: most runs failed: {error}")
        yield from _doubts(hunted)
    for each in judgement.instances:
        if each.verdict is Verdict.REFUTED and each.hunt and each.hunt.counterexample:
            yield from _counterexample(each, each.hunt.counterexample, judgement.names)
    conditions = dict.fromkeys(text for each in proved for text in each.conditions)
    if conditions:
        yield from _wrapped(f"in runs without errors: {'; '.join(conditions)}")
    for empty in dict.fromkeys(each.empty for each in proved if each.empty):
        yield from _wrapped(f"note: this says nothing: {empty}")
    if judgement.note:
        yield from _wrapped(f"note: {judgement.note}")
    if show:
        yield from _forms(judgement)


def _doubts(hunted: Sequence[Instance]) -> Iterator[str]:
    """Notes on clauses that the trials of an undecided law did not reach."""
    idle = dict.fromkeys(text for each in hunted if each.hunt for text in each.hunt.idle)
    if idle:
        yield from _wrapped(f"note: no trial reached the limit of: {', '.join(idle)}")


def _short(instances: Sequence[Instance], listed: str) -> str:
    """`n = 1, 2, 3` where there is one name."""
    names = list(instances[0].values)
    if len(names) == 1:
        return f"{names[0]} = {', '.join(str(each.values[names[0]]) for each in instances)}"
    return listed


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="    ", subsequent_indent="        ")


def _counterexample(
    instance: Instance, example: Counterexample, names: tuple[str, str]
) -> Iterator[str]:
    at = f" at {shown_values(dict(instance.values))}" if instance.values else ""
    yield f"    refuted{at}, in trial {example.trial} of seed {example.seed}:"
    for line in example.world:
        yield f"        {line}"
    left, right = _sides(names)
    answers = f"{left} answers {_answer(example.left)}, {right} answers {_answer(example.right)}"
    yield f"        {answers}"
    for line in example.parting:
        yield f"        {line.replace('LEFT', left).replace('RIGHT', right)}"
    yield f"    replay: add --seed {example.seed} --trial {example.trial}"


def _sides(names: tuple[str, str]) -> tuple[str, str]:
    if names[0] == names[1]:
        return f"{names[0]} (left)", f"{names[1]} (right)"
    return names


def _answer(answer: str | None) -> str:
    return "nothing" if answer is None else json.dumps(answer, ensure_ascii=False)


def _forms(judgement: Judgement) -> Iterator[str]:
    """Normal forms of the smallest instance, or of the one that is refuted."""
    refuted = [each for each in judgement.instances if each.verdict is Verdict.REFUTED]
    instance = refuted[0] if refuted else judgement.instances[0]
    if instance.forms is None:
        yield "    too long to be rewritten: no normal form"
        return
    at = f" at {shown_values(dict(instance.values))}" if instance.values else ""
    left, right = instance.forms
    if instance.verdict is Verdict.PROVED:
        sides = [("both sides", left)]
    else:
        sides = list(zip(_sides(judgement.names), (left, right), strict=True))
    for name, form in sides:
        yield f"    normal form of {name}{at}:"
        yield textwrap.indent(form.text.rstrip("\n"), "        ")
    for name, form in zip(_sides(judgement.names), (left, right), strict=True):
        rules = ", ".join(dict.fromkeys(form.rules)) or "none"
        yield from _wrapped(f"rules used for {name}: {rules}")


def json_of(judgements: Sequence[Judgement], *, show: bool) -> str:
    """A list with an object a law."""
    return json.dumps([_object(each, show) for each in judgements], indent=1, ensure_ascii=False)


def _object(judgement: Judgement, show: bool) -> dict[str, Any]:
    return {
        "law": judgement.title,
        "place": judgement.place or None,
        "verdict": judgement.verdict.value,
        "instances": [_instance(each, show) for each in judgement.instances],
        "left_out": list(judgement.left_out),
    }


def _instance(instance: Instance, show: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "values": dict(instance.values),
        "verdict": instance.verdict.value,
    }
    if instance.hunt is not None:
        values |= {"trials": instance.hunt.trials, "failed": instance.hunt.failed}
        if instance.hunt.idle:
            values["not_reached"] = list(instance.hunt.idle)
        if (example := instance.hunt.counterexample) is not None:
            values["counterexample"] = {
                "seed": example.seed,
                "trial": example.trial,
                "world": list(example.world),
                "answers": [example.left, example.right],
                "parting": [
                    line.replace("LEFT", "left").replace("RIGHT", "right")
                    for line in example.parting
                ],
            }
    for name in ("scaled", "conditions", "empty"):
        if getattr(instance, name):
            values[name] = getattr(instance, name)
    if show and instance.forms is not None:
        values["normal_forms"] = [form.text for form in instance.forms]
        values["rules"] = [list(form.rules) for form in instance.forms]
    return values
