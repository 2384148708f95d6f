"""Problems of the bundled set, and what a session answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tts_runtime import Problem, Response, Session, Settings
from tts_runtime.problems import problems_named

PROBLEMS = problems_named("arith")[:3]


def answered(names: Sequence[str], seed: int = 0) -> list[Response]:
    """What `majority` with n = 3 answers the problems under these ids, on the bundled model."""

    async def asked() -> list[Response]:
        async with Session(settings=Settings({"policy": "bundled"})) as session:
            return [
                await session.answer("majority", Problem(name, each.text), n=3, seed=seed)
                for name, each in zip(names, PROBLEMS, strict=True)
            ]

    return asyncio.run(asked())
