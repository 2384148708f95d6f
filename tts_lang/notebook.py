"""Display of plans in notebooks."""

from __future__ import annotations

from html import escape
from importlib import import_module


def plan_html(plan: object) -> str:
    """EXPLAIN of a plan, as HTML. Found by name: what explains plans is built on them."""
    explained = import_module("tts_lang.explain.formats").explained
    return f"<pre>{escape(explained(plan, 'text', None))}</pre>"
