"""EXPLAIN of a plan in each of the forms that `tts-compile --format` offers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts_lang.explain.assumptions import Assumed
    from tts_lang.plan.graph import Plan

FORMATS = ("text", "json", "dot", "mermaid", "html")


def explained(
    plan: Plan,
    form: str = "text",
    context: int | None = None,
    *,
    assumed: Assumed | None = None,
    width: int = 100,
    color: bool = False,
) -> str:
    """A description of a plan and its cost, ending with a line end.

    Args:
        form: One of `FORMATS`; `dot` and `mermaid` are drawings for Graphviz and Mermaid.
        context: Context window in tokens that bounds assume; by default the bundled policy's.
        assumed: This and more that a plan does not say.
        width: Columns of the text form, which alone may be in color.

    Raises:
        ValueError: Another form.
    """
    from tts_lang.explain.assumptions import Assumed

    if form not in FORMATS:
        raise ValueError(f"form {form!r} is not one of {', '.join(FORMATS)}")
    assumptions = Assumed() if assumed is None else assumed
    if context is not None:
        assumptions = replace(assumptions, context=context)
    from tts_lang.explain.tree import explain as tree_of

    tree = tree_of(plan, assumptions)
    if form in ("dot", "mermaid"):
        from tts_lang.explain.drawing import to_dot, to_mermaid

        return (to_dot if form == "dot" else to_mermaid)(tree)
    if form == "html":
        from tts_lang.explain.page import to_html

        return to_html(tree)
    if form == "json":
        import json

        from tts_lang.explain.json_form import to_values

        return json.dumps(to_values(tree), indent=2) + "\n"
    from tts_lang.explain.render import to_text

    return to_text(tree, width, color=color)
