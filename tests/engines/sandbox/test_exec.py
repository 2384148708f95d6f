"""`exec:python`: a policy that replies what programs print, and a scorer that runs unit tests."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from math import isnan

import pytest

from tts_runtime.engines.base import (
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Sampling,
    ScoreRequest,
)
from tts_runtime.engines.policy import Policy
from tts_runtime.engines.registry import policy_engine, scorer_engine
from tts_runtime.engines.sandbox.box import Sandbox
from tts_runtime.engines.sandbox.policy import ExecPolicy
from tts_runtime.engines.sandbox.scorer import ExecScorer, suite_of
from tts_runtime.steps import NOTHING
from tts_runtime.streams import root_key
from tts_runtime.tokens import to_bytes

pytestmark = pytest.mark.usefixtures("best")


def replies(programs: Mapping[str, Limits]) -> list[tuple[str, Generation, str | None]]:
    """Each program's reply as text and generation, and the answer in it."""

    async def main() -> list[tuple[str, Generation, str | None]]:
        engine = policy_engine("exec:python")
        assert isinstance(engine, ExecPolicy)
        assert not engine.exact
        policy = Policy("python", engine)
        requests = [
            GenerateRequest(
                policy.tokenizer.encode(engine.binding.open(program, thinking=False)),
                (),
                root_key(0, "x"),
                Sampling(),
                limits,
                NOTHING,
            )
            for program, limits in programs.items()
        ]
        try:
            found = await asyncio.gather(*map(engine.generate, requests))
        finally:
            await engine.close()
        texts = [to_bytes(policy.tokenizer, generation.ids).decode() for generation in found]
        return [
            (text, each, policy.written(text, each.finish)[0])
            for text, each in zip(texts, found, strict=True)
        ]

    return asyncio.run(main())


def test_a_program_replies_with_what_it_prints() -> None:
    most = Limits(1000)
    printed, failed, words, cut, line = replies(
        {
            "Code:\n```python\nprint('x =', 3)\nprint(6 * 7)\n```": most,
            "print(5)\n1 / 0": most,
            "print('no')\nprint('(1, 2]')": most,
            "print('one two three four')": Limits(3),
            "print('one\\n\\ntwo')": Limits(1000, steps=1),
        }
    )
    assert (printed[0], printed[1].finish, printed[2]) == ("x = 3\n42\n", Finish.END, "42")
    assert all(map(isnan, printed[1].logprobs))
    assert printed[1].drawn == 0  # nobody draws tokens
    # A failed program's numbers are no answers: those of a traceback are lines.
    assert failed[0].startswith('5\nTraceback (most recent call last):\n  File "main.py", line 2')
    assert failed[1].finish is Finish.LENGTH
    assert failed[2] is None
    assert words[2] == "(1, 2]"
    assert (cut[0], cut[1].finish, cut[2]) == ("one two three", Finish.LENGTH, None)
    assert (line[0], line[1].finish) == ("one\n\n", Finish.STOP)


#: Rows of the layouts of HumanEval, MBPP, and of problems with inputs and outputs.
HUMAN_EVAL = {
    "entry_point": "inc",
    "prompt": "from typing import List\n\ndef inc(xs: List[int]) -> List[int]:\n",
    "tests": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate([1, 2]) == [2, 3]\n",
}
INC = "def inc(xs):\n    return [x + 1 for x in xs]"
HELPER = {**HUMAN_EVAL, "prompt": "def one(x):\n    return x + 1\n\ndef inc(xs):\n"}
MBPP = {
    "test_imports": ["from math import pi as three"],
    "tests": ["assert f(1) == 2", "assert f(2) == 3", "assert f(three) == three + 1"],
}
PAIRS = {"tests": {"inputs": ["1\n", "2"], "outputs": ["2\n", "3 \n\n"]}}


def solution(code: str) -> str:
    return f"I think so:\n```python\n{code}\n```\nDone."


SCORES: Sequence[tuple[Mapping[str, object], str, float]] = (
    (HUMAN_EVAL, solution("def inc(xs):\n    return [x + 1 for x in xs]"), 1.0),
    (HUMAN_EVAL, "    return [x + 1 for x in xs]\n", 1.0),  # the rest of the prompt
    (HUMAN_EVAL, solution("    return [x + 1 for x in xs]"), 1.0),
    (HUMAN_EVAL, "ys = [x + 1 for x in xs]\n    return ys\n", 1.0),
    (HUMAN_EVAL, solution("inc = lambda xs: [x + 1 for x in xs]"), 1.0),
    ({**HUMAN_EVAL, "entry_point": "list"}, solution("from builtins import list"), 0.0),
    (HUMAN_EVAL, solution("def inc(xs):\n    return xs"), 0.0),
    (HUMAN_EVAL, solution("def inc(xs):\n    import os\n    os._exit(0)"), 0.0),
    (HUMAN_EVAL, solution("import sys\nsys.exit(0)"), 0.0),
    # Without the prompt's import, and with an example behind it.
    (HUMAN_EVAL, solution("def inc(xs: List[int]):\n    return [x + 1 for x in xs]"), 1.0),
    (HUMAN_EVAL, solution(f"from __future__ import annotations\n{INC}"), 1.0),
    (HUMAN_EVAL, solution(INC) + solution("print(inc([1]))"), 1.0),
    (HUMAN_EVAL, solution("def inc(xs):\n    return xs") + solution(INC), 1.0),
    (HUMAN_EVAL, solution(INC) + solution("def inc(xs):\n    return xs"), 0.0),
    # A helper of the prompt; an import that only the prompt needs.
    (HELPER, solution("def inc(xs):\n    return [one(x) for x in xs]"), 1.0),
    ({**HUMAN_EVAL, "prompt": "import no_such_module\ndef inc(xs):\n"}, solution(INC), 1.0),
    ({**HUMAN_EVAL, "prompt": "Write inc:\n"}, solution(INC), 1.0),
    (MBPP, solution("def f(x):\n    print('noise' * 10**6)\n    return x + 1"), 1.0),
    (MBPP, solution("def f(x):\n    return 2"), 1 / 3),
    (MBPP, solution("import os\ndef f(x):\n    return x + 1 if x != 2 else os._exit(0)"), 2 / 3),
    (MBPP, solution("def f(x): return x + 1") + solution("print(f(1))\nassert f(1) == 2"), 1.0),
    (
        {"tests": ["assert set(f(1)) == {2}"]},
        solution("def f(x): return [x + 1]") + solution("set = f(1)"),
        1.0,
    ),
    (MBPP, "I do not know.", 0.0),
    (PAIRS, solution("print(int(input()) + 1)"), 1.0),
    (PAIRS, solution("print(2)"), 0.5),
    ({"tests": json.dumps([{"input": "a", "output": "A"}])}, solution("print(input().upper())"), 1),
    ({"tests": "assert solve() == 5"}, solution("def solve(): return 5"), 1.0),
)


def scores(name: str, rows: Sequence[tuple[Mapping[str, object], str]]) -> list[float | None]:
    """The scores of texts for problems with these fields."""

    async def main() -> list[float | None]:
        engine = scorer_engine(name)
        assert isinstance(engine, ExecScorer)
        try:
            found = await asyncio.gather(
                *(engine.score(ScoreRequest("?", fields, text, (text,))) for fields, text in rows)
            )
        finally:
            await engine.close()
        return [reply.scores[0] for reply in found]

    return asyncio.run(main())


def test_a_score_is_the_share_of_tests_passed() -> None:
    rows = [(fields, text) for fields, text, _ in SCORES]
    wanted = [score for _, _, score in SCORES]
    assert scores("exec:python?field=tests&timeout=60", rows) == wanted


def test_a_score_may_need_all_tests() -> None:
    text = solution("def f(x):\n    return x + (x < 3)")
    assert scores("exec:python?field=tests&score=all", [(MBPP, text)]) == [0.0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "no field `tests`; its fields: none"),
        ({"test": "x"}, "did you mean 'test'?"),
        ({"tests": []}, "expected tests"),
        ({"tests": " "}, "expected tests"),
        ({"tests": None}, "expected tests"),
        ({"tests": [1]}, "found '\\[1\\]'"),
        ({"tests": {"inputs": ["1"], "outputs": []}}, "expected tests"),
        ({"tests": {"inputs": [1], "outputs": ["1"]}}, "expected tests"),
        ({"tests": [{"input": "1"}]}, "expected tests"),
    ],
)
def test_problems_without_tests_are_explained(fields: dict[str, object], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        suite_of(fields, "tests")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exec:bash", "the only language is Python: `exec:python`"),
        ("exec", "the only language is Python: `exec:python`"),
        ("exec:python?timeout=0", "option `timeout`: Input should be greater than or equal to 1"),
        ("exec:python?sandbox=none", "option `sandbox`"),
        ("exec:python?memry=9", "did you mean 'memory'?"),
    ],
)
def test_wrong_names_are_explained(name: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        policy_engine(name)
    assert message in str(caught.value)
    with pytest.raises(EngineError, match="option `field`: Field required"):
        scorer_engine("exec:python")


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for engine in (policy_engine, scorer_engine):
        with pytest.raises(EngineError, match="programs run on Linux only"):
            engine("exec:python?field=tests")


def test_a_level_that_does_not_hold_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is tried first; what `auto` may not take by itself is named."""
    monkeypatch.setattr(
        Sandbox, "_fault", lambda _, level: None if level == "landlock" else "it leaks"
    )
    with pytest.raises(EngineError) as caught:
        Sandbox()
    message = str(caught.value)
    assert "bubblewrap: it leaks; namespaces: it leaks" in message
    assert "`?sandbox=landlock` works here, and is weaker" in message
