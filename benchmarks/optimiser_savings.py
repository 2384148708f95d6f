"""What each pass saves on shipped strategies: `python benchmarks/optimiser_savings.py`.

Prints the table of docs/optimiser.md: upper bounds per problem, raw and optimised, at the
parameters given (defaults where none are). What runs spend is at most that.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Strategies, at parameters at which passes find something.
SHOWN: tuple[tuple[str, dict[str, int]], ...] = (
    ("token_conditional", {}),
    ("step_conditional", {}),
    ("layered_mixture", {}),
    ("best_of_answered", {}),
    ("best_of_n", {"n": 1}),
    ("beam_search", {"width": 1}),
    ("dvts", {"width": 1}),
    ("lookahead_search", {"width": 1}),
    ("sequential_revisions", {"rounds": 1}),
    ("particle_gibbs", {"sweeps": 1}),
)


def table() -> str:
    """The table, as Markdown."""
    from tts_lang.compiler import compile_strategy
    from tts_lang.optimise import optimise
    from tts_lang.optimise.report import figures

    head = "| strategy | passes that fire | plan size | policy calls | scorer calls |"
    lines = [head, "|---|---|---|---|---|"]
    for name, parameters in SHOWN:
        (path,) = ROOT.glob(f"strategies/**/{name}.tts")
        made = optimise(compile_strategy(path, name, parameters))
        fired = ", ".join(s.trace.passed.name for s in made.stages if s.trace.fired)
        known = {figure.name: figure for figure in figures(made)}
        given = ", ".join(f"{key} = {value}" for key, value in parameters.items())
        cells = [
            f"{known[what].raw:,} → {known[what].optimised:,}"
            if known[what].saved
            else f"{known[what].raw:,}"
            for what in ("plan size", "policy calls", "scorer calls")
        ]
        lines.append(f"| {name}({given}) | {fired} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.stdout.write(table())
