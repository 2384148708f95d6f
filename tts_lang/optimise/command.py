"""The optimiser's part of `tts-compile`: its options, and EXPLAIN of optimised plans."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from tts_lang.explain.forms import explained

if TYPE_CHECKING:
    from tts_lang.explain.lengths import Lengths
    from tts_lang.plan.graph import Plan

#: Options that say how to optimise; they go with EXPLAIN.
FLAGS = ("no_pass", "only_pass", "verify", "trace")


def add_options(parser: ArgumentParser) -> None:
    """--no-pass, --only-pass, --verify and --trace."""
    add = parser.add_argument
    for flag, what in (("--no-pass", "leave out"), ("--only-pass", "run only")):
        add(
            flag,
            action="append",
            default=[],
            metavar="NAME",
            help=f"with --explain: {what} this pass of the optimiser (`all`: every one); repeat",
        )
    add(
        "--verify",
        action="store_true",
        help="with --explain: check the plan behind every pass of the optimiser",
    )
    add(
        "--trace",
        action="store_true",
        help="with --explain: list every rule of the optimiser, and why it did not fire",
    )


def explain(
    options: Namespace,
    plan: Plan,
    form: str,
    context: int,
    *,
    width: int,
    color: bool,
    lengths: Lengths | None = None,
) -> str:
    """EXPLAIN of the optimised plan (with what it costs if steps are as long as `lengths` says),
    with totals before and after and what each pass saved.

    Raises:
        UnknownPass: `--no-pass` or `--only-pass` name a pass that does not exist.
        PlanError: With `--verify`, what a pass broke.
    """
    from tts_lang.optimise.pipeline import optimise
    from tts_lang.optimise.report import to_text, to_values

    only = options.only_pass or None
    made = optimise(plan, only=only, without=options.no_pass, check=options.verify)
    text = explained(made.plan, form, context, width=width, color=color)
    if form == "text":
        if lengths is not None:
            from tts_lang.explain.report import expectation

            text = f"{text}\n{expectation(made.plan, lengths, width)}"
        if made.plan is made.raw and not options.trace:
            return text
        return f"{text}\n{to_text(made, context, trace=options.trace)}"
    if form == "json":
        values = json.loads(text)
        if lengths is not None:
            from tts_lang.explain.report import expected_values

            values["expected"] = expected_values(made.plan, lengths)
        return json.dumps({**values, "optimiser": to_values(made, context)}, indent=2) + "\n"
    return text
