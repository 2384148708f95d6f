"""Whatever a strategy file holds: messages or a plan that runs, no exception and no hang.

Files are shipped ones with tokens, numbers, lines and characters changed, and random words. What
compiles is explained, optimised, written, read again, and run on simulated engines if it is small.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tests.support.agreement import PROBLEMS, by_executor, world
from tts_lang import library
from tts_lang.compiler import CompileError, check_source, compile_strategy
from tts_lang.diagnostics import render_json, render_text
from tts_lang.explain.budget import OverBudget, check
from tts_lang.explain.render import to_text
from tts_lang.explain.tree import explain
from tts_lang.optimise import optimise
from tts_lang.plan.graph import Plan
from tts_lang.plan.serialize import PlanError, from_json, to_json
from tts_lang.source import Source
from tts_lang.syntax.format import format_source
from tts_lang.syntax.parser import parse
from tts_lang.syntax.tokens import Token, tokenize
from tts_lang.syntax.words import SIGNS, TERMINALS
from tts_runtime.executor import BindError

#: Seconds after which a file counts as one that never ends.
_HANGS = 120
#: What is run has bounds as small as these.
_SMALL = [("calls", 200.0), ("operations", 2000.0), ("rows", 200.0), ("tokens", 40_000.0)]
_NUMBERS = (
    *("0", "1", "2", "3", "0.5", "10%", "100%", "1e308", "1e-308", "10 ** 15", "2 ** 600", "-5"),
    *("1_000_000_000_000_000", "9" * 400, "(0 / 0)", "1.5", "(1 - 1)"),
)
_WORDS = (
    *TERMINALS,
    *SIGNS,
    *("pool", "problem", "none", "n", "prm", "policy", "answer", "tokens", "uniform()", "fresh"),
    *(
        '"t"',
        '"\\boxed{}"',
        '"""',
        '"{problem}"',
        "\n",
        "\n    ",
        "\n        ",
        "#",
        "\t",
        "\u202e",
    ),
    *("é", "\x00", "\ufeff", "\u2028", "'", "\\", "@", "  "),
    *('import "majority.tts"\n', 'import "/proc/self/environ"\n', 'import "../x.tts"\n'),
)


@cache
def _files() -> list[tuple[Path, str, list[Token]]]:
    paths = sorted(library.folder().rglob("*.tts"))
    texts = [(path, path.read_text("utf-8")) for path in paths]
    return [(path, text, tokenize(Source.of(text)).tokens) for path, text in texts]


def source_of(seed: int) -> Source:
    """The file of a seed."""
    rng = random.Random(seed)
    path, text, tokens = rng.choice(_files())
    if rng.random() < 0.2:
        words = " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(60)))
        return Source.of(f"strategy s(n = 4):\n    {words}\n    return sample 1\n", str(path))
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        text = _mutated(rng, text, tokens)
    return Source.of(text, str(path))


def _mutated(rng: random.Random, text: str, tokens: list[Token]) -> str:
    """One change; places of tokens are those of the unchanged text, which is random enough."""
    token = rng.choice(tokens)
    start, end = min(token.start, len(text)), min(token.end, len(text))
    match rng.randrange(8):
        case 0:  # a token less, twice, or another one's text
            other = rng.choice(tokens)
            there = text[other.start : other.end]
            return text[:start] + rng.choice(["", there, text[start:end] * 2]) + text[end:]
        case 1:
            return f"{text[:start]}{rng.choice(_WORDS)} {text[start:]}"
        case 2:
            numbers = [each for each in tokens if each.type in ("INTEGER", "FLOAT", "PERCENT")]
            if not numbers:
                return text
            token = rng.choice(numbers)
            return text[: token.start] + rng.choice(_NUMBERS) + text[token.end :]
        case 3:
            at = rng.randrange(len(text) + 1)
            return text[:at] + rng.choice(["", chr(rng.randrange(0xD7FF))]) + text[at + 1 :]
        case 4:  # a line of another file, or one line elsewhere
            lines = text.split("\n")
            more = rng.choice([lines, rng.choice(_files())[1].split("\n")])
            lines.insert(rng.randrange(len(lines)), rng.choice(more))
            return "\n".join(lines)
        case 5:
            lines = text.split("\n")
            at = rng.randrange(len(lines))
            lines[at] = rng.choice([lines[at].lstrip(), f"    {lines[at]}", "", lines[at] * 2])
            return "\n".join(lines)
        case 6:
            names = [each for each in tokens if each.type == "NAME"]
            one, other = rng.choice(names), rng.choice(names)
            return text[: one.start] + other.text + text[one.end :]
        case _:
            return text[: rng.randrange(len(text) + 1)]


def tried(source: Source, seed: int) -> str:
    """What became of a file: refused, compiled or run."""
    found = check_source(source)
    assert render_text(found.diagnostics) or not found.diagnostics
    assert render_json(found.diagnostics)
    parsed = parse(source)
    if parsed.ok:
        assert parse(Source.of(format_source(source))).file == parsed.file
    if not found.ok or not found.strategies:
        return "refused"
    name = found.strategies[-1].name
    try:
        plan = compile_strategy(source, name)
    except CompileError:
        return "refused"
    return _used(plan, seed)


def _used(plan: Plan, seed: int) -> str:
    assert to_text(explain(plan))
    with suppress(PlanError):  # an expression of a hundred terms is nested too deeply for JSON
        written = to_json(plan)
        assert from_json(written) == plan
    optimised = optimise(plan, check=True).plan
    try:
        check(optimised, _SMALL)
        outcome = by_executor(optimised, world(seed), PROBLEMS[seed % len(PROBLEMS)], seed)
    except (OverBudget, BindError):
        return "compiled"
    assert outcome.error is None or outcome.error
    return "run"


@contextmanager
def _ends() -> Iterator[None]:
    """A hang becomes an exception, which says where."""

    def hangs(*_: object) -> None:
        raise AssertionError(f"not done after {_HANGS} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(_HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_no_file_gives_a_traceback_or_a_hang(sources: range) -> None:
    became: Counter[str] = Counter()
    for seed in sources:
        source = source_of(seed)
        try:
            with _ends():
                became[tried(source, seed)] += 1
        except BaseException as error:
            error.add_note(f"the file of seed {seed}:\n{source.text}")
            raise
    print(dict(became))
    assert min(became["refused"], became["compiled"], became["run"]) > len(sources) // 50
