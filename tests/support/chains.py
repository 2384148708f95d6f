"""Programs that are chains of generations, with everything between them that a rule must look at.

Random programs of all verbs seldom hold a chain that can be fused; these hold little else.
"""

from __future__ import annotations

import random

CLAUSES = ("", "", "", " within 12 tokens", " at temperature 0", " max 6 tokens", " from small")
AMOUNTS = ("1 step", "1 x 2 steps", "1", "1 x 3 tokens", "2 steps", "1 thought")
BETWEEN = (
    ("score pool by prm",),
    ("score pool by orm",),
    ("pool = select top 4 of pool by tokens",),
    ("pool = pool where steps > 0",),
    ("score pool by orm", "pool = select top 2 of pool by tokens"),
    ("other = sample 2",),
    ("more = expand pool by 1", "score more by prm"),
    ("let long of pool = tokens > 4",),
    ("other = probe()",),
    ("repeat 3 until all pool done:", "    pool = expand pool by 1 step"),
    ("repeat 2:", "    pool = expand pool by 1 step{clause}", "    score pool by prm"),
)
ENDS = (
    "return vote pool",
    "return vote pool weighted by steps",
    "return best of pool by orm",
    "return best of pool by last(prm)",
    "return vote pool per root",
)


def chain(seed: int) -> str:
    """A strategy that samples and continues, a few times, with one way of sampling or several."""
    choose = random.Random(seed)
    clause = choose.choice(CLAUSES)
    lines = ["fork" if choose.random() < 0.2 else f"pool = sample {choose.choice('1234')} steps"]
    lines[0] = "pool = fork problem into 3" if lines[0] == "fork" else lines[0] + clause
    for _ in range(choose.randint(1, 4)):
        if choose.random() < 0.4:
            lines += [line.format(clause=clause) for line in choose.choice(BETWEEN)]
        own = clause if choose.random() < 0.85 else choose.choice(CLAUSES)
        lines.append(f"pool = expand pool by {choose.choice(AMOUNTS)}{own}")
    end = choose.choice(ENDS)
    lines += [f"score pool by {name}" for name in ("prm", "orm") if name in end]
    if choose.random() < 0.3:
        lines.append("last_one = sample 1 step" + clause)
    if "per root" in end:
        end = "return first of (vote pool per root)"
    body = "".join(f"    {line}\n" for line in [*lines, end])
    head = (
        "policy small\nscorer orm per solution\n\nstrategy probe():\n    return sample 1 step\n\n"
    )
    return f"{head}strategy main():\n{body}"
