"""A scorer that runs unit tests: the share of a problem's tests that a candidate's program passes.

Bound as `--scorer NAME=exec:python?field=FIELD`. docs/engines.md lists the formats of the field.
"""

from __future__ import annotations

import builtins
import json
import logging
import re
from asyncio import Future, get_running_loop
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Final, Literal

from pydantic import Field

from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.models import Model
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.engines.sandbox.box import Sandbox, SandboxOptions
from tts_runtime.engines.sandbox.programs import (
    continued,
    definition,
    program_in,
    with_functions,
)

_LOGGER = logging.getLogger(__name__)

#: Tests that may take the whole process down; those after one more count as failed.
_MOST_ENDS: Final = 3
#: Names in tests that are looked for in programs.
_MOST_NAMES: Final = 50
#: Runs the tests after the program, and reports each that passes. The program's output is
#: discarded, and ending the process is no success; but a malicious program can find the secret word
#: in this process. What the prompt sets up is a script of its own: a program that begins with
#: `from __future__` stays one, and one that needs none of it passes without it.
_HARNESS: Final = """
def main():
    import json, os, sys, types
    todo = json.loads(sys.stdin.read())
    word = todo["word"].encode()
    said = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    sys.argv = ["solution.py"]
    try:
        exec(compile(todo["before"], "prompt.py", "exec"), module.__dict__)
    except BaseException:
        pass
    exec(compile(todo["program"], "solution.py", "exec"), module.__dict__)
    for number, test in todo["tests"]:
        os.write(said, b"%s begins %d\\n" % (word, number))
        try:
            exec(compile(test, "test.py", "exec"), module.__dict__)
        except BaseException:
            continue
        os.write(said, b"%s passed %d\\n" % (word, number))
    os._exit(0)
main()
"""


class TestOptions(SandboxOptions):
    """Options of `exec:python` as a scorer."""

    __test__ = False

    field: str = Field(min_length=1, description="Field of the problem with its tests")
    score: Literal["share", "all"] = "share"


@dataclass(frozen=True, slots=True)
class UnitTests:
    """A problem's tests: `scripts` to run after the program, or `pairs` of input and output."""

    scripts: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Number of tests."""
        return len(self.scripts) + len(self.pairs)


class ExecScorer(ScorerEngine):
    """Runs a problem's tests on each candidate's program, in a sandbox.

    Raises:
        EngineError: No sandbox works here.
    """

    exact = False
    steps = False
    card = Model(0)

    def __init__(self, options: TestOptions) -> None:
        self.field = self.read_field = options.field
        self._all = options.score == "all"
        self._sandbox = Sandbox(options)
        _LOGGER.info("scorer `exec:python`: %s", self._sandbox.description)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Runs the tests as soon as there is a slot; cancelling ends them.

        Fails with `EngineError` if the problem has no readable tests.
        """
        return get_running_loop().create_task(self._score(request))

    async def close(self) -> None:
        """Ends running programs."""
        await self._sandbox.close()

    async def _score(self, request: ScoreRequest) -> ScoreReply:
        suite = suite_of(request.fields, self.field)
        before, program = _parts(request, suite.scripts)
        passed = await self._scripts(before, program, suite.scripts) + await self._pairs(
            program, suite.pairs
        )
        return ScoreReply((float(passed == suite.size) if self._all else passed / suite.size,))

    async def _scripts(self, before: str, program: str, scripts: Sequence[str]) -> int:
        """Number of tests passed; those after one that ends the process run in another process."""
        passed: set[int] = set()
        left = list(enumerate(scripts))
        for _ in range(_MOST_ENDS + 1):
            if not left:
                break
            word = token_hex(16)
            todo = {"before": before, "program": program, "tests": left, "word": word}
            outcome = await self._sandbox.run(_HARNESS, json.dumps(todo))
            told = outcome.output.decode("ascii", "replace")
            begun = {int(number) for number in re.findall(rf"^{word} begins (\d+)$", told, re.M)}
            passed |= {int(number) for number in re.findall(rf"^{word} passed (\d+)$", told, re.M)}
            if not begun:
                break
            left = [(number, test) for number, test in left if number > max(begun)]
        return len(passed)

    async def _pairs(self, program: str, pairs: Sequence[tuple[str, str]]) -> int:
        passed = ends = 0
        for stdin, wanted in pairs:
            if ends > _MOST_ENDS:
                break
            outcome = await self._sandbox.run(program, stdin)
            ends += bool(outcome.stopped)
            if outcome.finished:
                passed += _lines(outcome.output.decode("utf-8", "replace")) == _lines(wanted)
        return passed


def suite_of(fields: Mapping[str, object], name: str) -> UnitTests:
    """The tests in a field of a problem.

    Raises:
        EngineError: There is no such field, or it holds no tests.
    """
    if name not in fields:
        hint = did_you_mean(name, fields)
        raise EngineError(
            f"scorer `exec:python?field={name}`: this problem has no field `{name}`"
            + (f"; {hint}" if hint else f"; its fields: {', '.join(fields) or 'none'}")
        )
    value = fields[name]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):  # else a script that begins like JSON
            value = json.loads(value)
    suite = _suite(value, fields)
    if suite is None or not suite.size:
        raise EngineError(
            f"scorer `exec:python?field={name}`: expected tests (Python code, a list of "
            f"them, or inputs and outputs), found {str(fields[name])[:60]!r}"
        )
    return suite


def _suite(value: object, fields: Mapping[str, object]) -> UnitTests | None:
    if isinstance(value, str) and value.strip():
        entry = fields.get("entry_point")
        if isinstance(entry, str) and re.search(r"^def check\(", value, re.M):
            value += f"\n\ncheck({entry})\n"  # HumanEval
        return UnitTests((_setup(fields) + value,))
    if isinstance(value, Mapping):  # APPS: two lists
        inputs, outputs = value.get("inputs"), value.get("outputs")
        if isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) == len(outputs):
            return _paired(zip(inputs, outputs, strict=True))
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        setup = _setup(fields)
        return UnitTests(tuple(setup + each for each in value))  # MBPP
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return _paired((each.get("input"), each.get("output")) for each in value)
    return None


def _paired(pairs: Iterable[tuple[object, object]]) -> UnitTests | None:
    found = list(pairs)
    if not all(isinstance(text, str) for pair in found for text in pair):
        return None
    return UnitTests(pairs=tuple((str(stdin), str(wanted)) for stdin, wanted in found))


def _setup(fields: Mapping[str, object]) -> str:
    """Code before each test in MBPP's rows."""
    code = fields.get("test_setup_code")
    imports = fields.get("test_imports")
    lines = [code] if isinstance(code, str) else []
    if isinstance(imports, list):
        lines += [line for line in imports if isinstance(line, str)]
    return "".join(line + "\n" for line in lines if line.strip())


def _parts(request: ScoreRequest, scripts: Sequence[str]) -> tuple[str, str]:
    """What the prompt sets up before the requested function (imports, helpers), and the program;
    the program after all of the prompt, if it is the rest of that function."""
    entry = request.fields.get("entry_point")
    if not isinstance(entry, str):
        names = _called(scripts)
        return "", with_functions(program_in(request.text, *names), *names)
    program = with_functions(program_in(request.text, entry), entry)
    prompt = request.fields.get("prompt")
    prompt = prompt if isinstance(prompt, str) else request.problem
    imported = re.search(
        rf"^from .{{1,80}}?\bimport\b.{{1,400}}?\b{re.escape(entry)}\b", program, re.M
    )
    if not definition(program, entry) and not imported:
        return "", continued(prompt, program)
    begin = definition(prompt, entry)
    return prompt[: begin.start()] if begin else "", program


def _called(scripts: Sequence[str]) -> list[str]:
    """Names that tests call and do not define, as of the function that is asked for.

    Those of Python's own functions (`set(...) == {1}`) only if there are no others.
    """
    text = "\n".join(scripts)
    names = dict.fromkeys(re.findall(r"(?<![\w.])([A-Za-z_]\w*)\s*\(", text))
    new = [name for name in list(names)[:_MOST_NAMES] if not definition(text, name)]
    return [name for name in new if not hasattr(builtins, name)] or new


def _lines(text: str) -> list[str]:
    """Lines without trailing blanks, and without empty lines at the end."""
    return [line.rstrip() for line in text.rstrip().splitlines()]
