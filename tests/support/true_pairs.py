"""Fifty pairs of strategies that always give the same answer: bodies of a strategy, left and right.

`HEAD` is what both may call.
"""

from __future__ import annotations

HEAD = """scorer orm per solution

strategy same():
    return sample 1

strategy few(n = 3):
    return vote (sample n)

"""

_POOL = "pool = sample 4\n"
_TWO = _POOL + "score pool by prm\nscore pool by orm\n"

PAIRS: dict[str, tuple[str, str]] = {
    "independent scores": (
        _TWO + "return best of pool by last(prm) + orm",
        _POOL + "score pool by orm\nscore pool by prm\nreturn best of pool by last(prm) + orm",
    ),
    "sum in another order": (
        _POOL + "return vote pool weighted by tokens + steps",
        _POOL + "return vote pool weighted by steps + tokens",
    ),
    "product in another order": (
        _POOL + "return vote pool weighted by tokens * steps",
        _POOL + "return vote pool weighted by steps * tokens",
    ),
    "and in another order": (
        _POOL + "return vote (pool where done and tokens > 3)",
        _POOL + "return vote (pool where tokens > 3 and done)",
    ),
    "or in another order": (
        _POOL + "return vote (pool where done or tokens > 3)",
        _POOL + "return vote (pool where tokens > 3 or done)",
    ),
    "comparison turned": (
        _POOL + "return vote (pool where tokens > 3)",
        _POOL + "return vote (pool where 3 < tokens)",
    ),
    "equality turned": (
        _POOL + "return vote (pool where tokens == steps)",
        _POOL + "return vote (pool where steps == tokens)",
    ),
    "let inlined": (
        _POOL + "let w of pool = tokens + 1\nreturn vote pool weighted by w",
        _POOL + "return vote pool weighted by tokens + 1",
    ),
    "let inlined in a condition": (
        _POOL + "let long of pool = tokens > 3\nreturn vote (pool where long)",
        _POOL + "return vote (pool where tokens > 3)",
    ),
    "unread let": (_POOL + "let w of pool = tokens\nreturn vote pool", _POOL + "return vote pool"),
    "unread score": (_POOL + "score pool by prm\nreturn vote pool", _POOL + "return vote pool"),
    "two conditions": (
        _POOL + "return vote ((pool where done) where tokens > 3)",
        _POOL + "return vote (pool where done and tokens > 3)",
    ),
    "two conditions swapped": (
        _POOL + "return vote ((pool where done) where tokens > 3)",
        _POOL + "return vote ((pool where tokens > 3) where done)",
    ),
    "loop unrolled": (
        "pool = sample 2 steps\nrepeat 2:\n    pool = expand pool by 2 steps\nreturn vote pool",
        "pool = sample 2 steps\npool = expand pool by 2 steps\npool = expand pool by 2 steps\n"
        "return vote pool",
    ),
    "loop of one round": (
        "pool = sample 2 steps\nrepeat 1:\n    pool = expand pool by 2\nreturn vote pool",
        "pool = sample 2 steps\npool = expand pool by 2\nreturn vote pool",
    ),
    "loop of no round": (
        _POOL + "repeat 3 until 1 < 2:\n    pool = expand pool by 2\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "repeat 1 until, and if not": (
        "pool = sample 2 steps\nrepeat 1 until count(pool) > 1:\n    pool = expand pool by 2\n"
        "return vote pool",
        "pool = sample 2 steps\nif not count(pool) > 1:\n    pool = expand pool by 2\n"
        "return vote pool",
    ),
    "equal branches": (
        _POOL
        + "if mean(tokens of pool) > 5:\n    kept = first 2 of pool\nelse:\n"
        + "    kept = first 2 of pool\nreturn vote kept",
        _POOL + "return vote (first 2 of pool)",
    ),
    "known branch": (
        _POOL + "if 1 < 2:\n    pool = first 2 of pool\nreturn vote pool",
        _POOL + "return vote (first 2 of pool)",
    ),
    "first of sort, and best of": (
        _POOL + "return first of (sort pool by tokens)",
        _POOL + "return best of pool by tokens",
    ),
    "first k of sort, and select": (
        _POOL + "return vote (first 2 of (sort pool by tokens))",
        _POOL + "return vote (first 2 of (sort (select top 2 of pool by tokens) by tokens))",
    ),
    "sorted twice": (
        _POOL + "return first of (sort (sort pool by tokens) by tokens)",
        _POOL + "return first of (sort pool by tokens)",
    ),
    "vote of a vote": (_POOL + "return vote (vote pool)", _POOL + "return vote pool"),
    "first of a vote": (_POOL + "return first of (vote pool)", _POOL + "return vote pool"),
    "union with itself": (_POOL + "return vote (pool + pool)", _POOL + "return vote pool"),
    "union with none": (_POOL + "return vote (pool + none)", _POOL + "return vote pool"),
    "difference with none": (_POOL + "return vote (pool - none)", _POOL + "return vote pool"),
    "difference with the rest": (
        _POOL + "return vote (pool - (pool where not done))",
        _POOL + "return vote (pool where done)",
    ),
    "union with a part": (
        _POOL + "return vote (pool + (pool where done))",
        _POOL + "return vote pool",
    ),
    "a part of a part": (
        _POOL + "return vote (first 2 of (first 3 of pool))",
        _POOL + "return vote (first 2 of pool)",
    ),
    "always true by range": (
        _POOL + "return vote (pool where tokens >= 0)",
        _POOL + "return vote pool",
    ),
    "never true by range": (
        _POOL + "return vote (pool + (pool where tokens < 0))",
        _POOL + "return vote pool",
    ),
    "inequality turned": (
        _POOL + "return vote (pool where tokens != steps)",
        _POOL + "return vote (pool where steps != tokens)",
    ),
    "weight of answers": (
        _POOL + "return vote pool weighted by 1 if has(answer) else 0",
        _POOL + "return vote pool",
    ),
    "equal weights": (_POOL + "return vote pool weighted by 2", _POOL + "return vote pool"),
    "unused fork": (
        _POOL + "copies = fork pool into 2\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "unused last sample": (
        _POOL + "other = sample 2\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "copied and expanded": (
        "copies = fork problem into 4\npool = expand copies by 1\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "in two parts": ("return vote ((sample 2) + (sample 2))", _POOL + "return vote pool"),
    "in three parts": (
        "return vote ((sample 1) + (sample 2) + (sample 1))",
        _POOL + "return vote pool",
    ),
    "steps, then the rest": (
        "pool = sample 4 steps\npool = expand pool by 1\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "tokens, then the rest": (
        "pool = sample 4 x 3 tokens\npool = expand pool by 1\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "a step if wanted, then the rest": (
        "pool = sample 4 steps\nif count(pool) > 3:\n    pool = expand pool by 1 step\n"
        "pool = expand pool by 1\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "round by round": (
        "pool = sample 4 steps\nrepeat 5 until all pool done:\n    pool = expand pool by 1 step\n"
        "pool = expand pool by 1\nreturn vote pool",
        _POOL + "return vote pool",
    ),
    "dealt to one": ("return vote (expand problem to 4)", _POOL + "return vote pool"),
    "select before score": (
        _POOL + "score pool by prm\nreturn best of (pool where done) by last(prm)",
        "pool = (sample 4) where done\nscore pool by prm\nreturn best of pool by last(prm)",
    ),
    "keeps everything": (
        _POOL + "return vote (select top 4 of pool by tokens)",
        _POOL + "return vote pool",
    ),
    "all by share": (
        _POOL + "return vote (select top 100% of pool by tokens)",
        _POOL + "return vote pool",
    ),
    "only a call": ("return few(4)", _POOL + "return vote pool"),
    "one voter": ("return vote (sample 1)", "return sample 1"),
}
