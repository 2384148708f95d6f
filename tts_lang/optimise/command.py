"""The optimiser's part of `tts-compile`: EXPLAIN of optimised plans."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING

from tts_lang.explain.formats import explained
from tts_lang.printable import printable

if TYPE_CHECKING:
    from tts_lang.explain.assumptions import Assumed
    from tts_lang.optimise.pipeline import Optimised
    from tts_lang.plan.graph import Plan

#: Options that say how to optimise; they go with EXPLAIN.
FLAGS = ("no_pass", "only_pass", "verify", "trace")


def explain(
    options: Namespace, plan: Plan, form: str, assumed: Assumed, *, width: int, color: bool
) -> str:
    """EXPLAIN of the plan, optimised as the options say.

    Raises:
        UnknownPass: `--no-pass` or `--only-pass` name a pass that does not exist.
        PlanError: With `--verify`, a pass broke the plan.
    """
    from tts_lang.optimise.pipeline import optimise

    only = options.only_pass or None
    optimised = optimise(plan, only=only, without=options.no_pass, check=options.verify)
    return explain_optimised(
        optimised, form, assumed, trace=options.trace, width=width, color=color
    )


def explain_optimised(
    optimised: Optimised,
    form: str,
    assumed: Assumed,
    *,
    trace: bool = False,
    width: int = 100,
    color: bool = False,
) -> str:
    """EXPLAIN of an optimised plan, with totals before and after and the savings of each pass.

    Args:
        optimised: The plan before and after.
        form: One of `forms.FORMATS`; drawings have no room for the optimiser.
        assumed: The assumptions of bounds and expectations.
        trace: Also the rules that did not fire, and why.
        width: Columns of the text form, which alone may be in color.
    """
    from tts_lang.optimise.report import to_table, to_text, to_values

    if form == "html":
        from tts_lang.explain.page import to_html
        from tts_lang.explain.tree import explain as tree_of

        return printable(
            to_html(tree_of(optimised.plan, assumed), to_table(optimised, assumed, trace=trace))
        )
    text = explained(optimised.plan, form, assumed=assumed, width=width, color=color)
    if not (form == "text" and color):
        text = printable(text)
    if form == "text" and (trace or optimised.plan is not optimised.raw):
        return f"{text}\n{to_text(optimised, assumed, trace=trace, width=width)}"
    if form == "json":
        values = {**json.loads(text), "optimiser": to_values(optimised, assumed)}
        return json.dumps(values, indent=2) + "\n"
    return text
