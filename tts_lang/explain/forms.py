"""EXPLAIN of a plan in each of the forms that `tts-compile --format` offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts_lang.plan.graph import Plan

FORMATS = ("text", "json", "dot", "mermaid")


def explained(
    plan: Plan,
    form: str = "text",
    context: int | None = None,
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """What a plan does and what it costs at most, ending with a line end.

    Args:
        form: One of `FORMATS`; the last two are drawings for Graphviz and Mermaid.
        context: Context window in tokens that bounds assume; by default the bundled policy's.
        width: Columns of the text form, which alone may be in color.

    Raises:
        ValueError: Another form.
    """
    from tts_lang.explain.bounds import DEFAULT_CONTEXT, bounds

    if form not in FORMATS:
        raise ValueError(f"form {form!r} is not one of {', '.join(FORMATS)}")
    bound = bounds(plan, DEFAULT_CONTEXT if context is None else context)
    if form in ("dot", "mermaid"):
        from tts_lang.explain.render import row_count
        from tts_lang.plan import draw

        notes = {value: row_count(rows) for value, rows in bound.rows.items()}
        return (draw.to_dot if form == "dot" else draw.to_mermaid)(plan, notes)
    from tts_lang.explain import render
    from tts_lang.explain.tree import explain as tree_of

    tree = tree_of(plan, bound)
    if form == "json":
        import json

        return json.dumps(render.to_values(tree), indent=2) + "\n"
    return render.to_text(tree, width, color=color)
