"""How each operator of a plan is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tts_lang.plan import graph
from tts_runtime.executor import (
    asking,
    control,
    editing,
    expanding,
    resampling,
    scoring,
    selecting,
    trees,
    voting,
)
from tts_runtime.executor.program import Handler

#: One handler for every operator of `graph.SPECS`.
HANDLERS: Final[Mapping[type, Handler]] = {
    graph.Empty: selecting.empty,
    graph.Compute: selecting.compute,
    graph.Expand: expanding.expand,
    graph.Fork: resampling.fork,
    graph.Score: scoring.score,
    graph.Let: selecting.let,
    graph.Force: editing.force,
    graph.Ask: asking.ask,
    graph.Where: selecting.where,
    graph.Select: selecting.select,
    graph.First: selecting.first,
    graph.Sort: selecting.sort,
    graph.Vote: voting.vote,
    graph.Resample: resampling.resample,
    graph.Descend: trees.descend,
    graph.Backup: trees.backup,
    graph.Leaves: trees.leaves,
    graph.Dedupe: selecting.dedupe,
    graph.Union: selecting.union,
    graph.Difference: selecting.difference,
    graph.Cut: editing.cut,
    graph.Split: editing.split,
    graph.Call: control.call,
    graph.Repeat: control.repeat,
    graph.Branch: control.branch,
}
