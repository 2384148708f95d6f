"""`tts-compile --laws` and `--equiv`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tts_lang.diagnostics import DiagnosticError
from tts_lang.laws.decide import DEFAULT_TRIALS, LawChecker, check_laws
from tts_lang.laws.render import json_of, text_of
from tts_lang.laws.search import LawError
from tts_lang.laws.verdicts import Judgement, Verdict
from tts_lang.plan.graph import Plan
from tts_lang.plan.pretty import constant
from tts_lang.printable import printable

#: Exit code of `--strict` where a law is open.
UNDECIDED = 3


def decide(options: Namespace, settings: Mapping[str, str]) -> int:
    """Decides laws or an equivalence and prints the judgements; returns the exit code.

    0: everything is proved, or has no counterexample. 1: something is refuted. 3, with `--strict`:
    something is neither proved nor refuted, or proved only because every run fails.

    Raises:
        DiagnosticError, PlanError: A mistake of the user's.
        LawError: A law cannot be decided.
    """
    trials = DEFAULT_TRIALS if options.trials is None else options.trials
    checker = LawChecker(trials, options.seed or 0, options.trial)
    judgements = (
        _laws(options, checker)
        if options.equiv is None
        else _equivalence(options, settings, checker)
    )
    show = json_of if options.json else text_of
    sys.stdout.write(
        printable(show(judgements, show=options.show)) + ("\n" if options.json else "")
    )
    if any(each.verdict is Verdict.REFUTED for each in judgements):
        return 1
    return UNDECIDED if options.strict and not all(each.decided for each in judgements) else 0


def _laws(options: Namespace, checker: LawChecker) -> list[Judgement]:
    from tts_lang.compiler import check_path, helped, locate

    judgements: list[Judgement] = []
    for strategy in options.strategies:
        path, _ = locate(strategy)
        result = check_path(path)
        if not result.ok:
            raise DiagnosticError(helped(result.diagnostics))
        shown = strategy if Path(strategy) == path else path.name
        if not result.laws:
            raise LawError(
                f"{shown} states no laws: write `law majority(n = 1) == chain_of_thought()` at top "
                "level, or ask about two strategies with `--equiv`"
            )
        text = path.read_text(encoding="utf-8-sig")
        judgements += check_laws(result.laws, shown, text, checker)
    return judgements


def _equivalence(
    options: Namespace, settings: Mapping[str, str], checker: LawChecker
) -> list[Judgement]:
    from tts_lang.arguments import called, plan_from

    left, right = plan_from([options.strategies[0], options.equiv], settings)
    titles = [called(plan.strategy, plan.parameters) for plan in (left, right)]
    judgement = checker.plans(left, right, (left.strategy, right.strategy))
    title = " == ".join(each.replace(" (", "(", 1) for each in titles)
    note = "" if judgement.verdict is Verdict.PROVED else _apart(left, right)
    return [replace(judgement, title=title, note=note)]


def _apart(left: Plan, right: Plan) -> str:
    """Parameters of one name that differ, because each strategy has its own default."""
    for name, value in left.parameters.items():
        other = right.parameters.get(name, value)
        if other != value:
            return (
                f"each side has its own default: {name} = {constant(value)} and "
                f"{name} = {constant(other)}; --set {name}=... goes to both"
            )
    return ""
