"""How each operator of a plan is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tts_lang.plan import graph
from tts_runtime.executor import asking, resampling, voting
from tts_runtime.executor.ops import control, edit, sample, score, select, tree
from tts_runtime.executor.program import Handler

#: One handler for every operator of `graph.SPECS`.
HANDLERS: Final[Mapping[type, Handler]] = {
    graph.Empty: select.empty,
    graph.Compute: select.compute,
    graph.Expand: sample.expand,
    graph.Fork: resampling.fork,
    graph.Score: score.score,
    graph.Let: select.let,
    graph.Force: edit.force,
    graph.Ask: asking.ask,
    graph.Where: select.where,
    graph.Select: select.select,
    graph.First: select.first,
    graph.Sort: select.sort,
    graph.Vote: voting.vote,
    graph.Resample: resampling.resample,
    graph.Descend: tree.descend,
    graph.Backup: tree.backup,
    graph.Leaves: tree.leaves,
    graph.Dedupe: select.dedupe,
    graph.Union: select.union,
    graph.Difference: select.difference,
    graph.Cut: edit.cut,
    graph.Split: edit.split,
    graph.Call: control.call,
    graph.Repeat: control.repeat,
    graph.Branch: control.branch,
}
