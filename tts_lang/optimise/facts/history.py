"""Whether a plan can tell how a row came about from what it is."""

from __future__ import annotations

from collections.abc import Iterator

from tts_lang.optimise.facts.effects import draws
from tts_lang.optimise.workspace import Site, Workspace
from tts_lang.plan import expr
from tts_lang.plan.clauses import keys_of
from tts_lang.plan.columns import HISTORY
from tts_lang.plan.operator import entry


def reads_history(work: Workspace) -> str | None:
    """What in the plan can tell a fused generation from a chain; `None` if nothing can.

    The rows are the same but for their `parent`, and for `finish` where a step ends exactly at a
    limit. Random numbers belong to rows by where their node stands.
    """
    for site in work.sites():
        spec = site.spec
        if entry(spec).lineage:
            return f"`{spec.op}` walks from rows to their parents"
        if draws(site):
            return "random numbers are drawn for rows"
        for name in _named(site):
            if name in HISTORY:
                return f"`{name}` is read"
        if any(isinstance(node, expr.Aggregate) and node.below for node in site.nodes):
            return "rows below others are read"
    judges = (scorer.judge.template for scorer in work.plan.scorers if scorer.judge is not None)
    for template in (*work.plan.prompts, *judges):
        if any(getattr(part, "name", "") == "parent.text" for part in template.parts):
            return f"prompt `{template.name}` shows a parent's text"
    return None


def _named(site: Site) -> Iterator[str]:
    yield from keys_of(site.spec)
    for node in site.nodes:
        match node:
            case expr.Column(name):
                yield name
            case expr.Aggregate(per=per, on=on):
                yield from (key for key in (per, on) if key is not None)
            case expr.PoolWide(per=str() as key):
                yield key
