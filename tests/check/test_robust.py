"""Whatever the text: no traceback, and a plan that the verifier accepts or an error."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

import pytest

from tests.support.golden import FIXTURES
from tests.support.programs import random_program
from tts_lang.check import sampling, uses
from tts_lang.compiler import check_source, compile_strategy
from tts_lang.diagnostics import Diagnostic, render_text
from tts_lang.plan.verify import verify
from tts_lang.repair import repaired
from tts_lang.source import Source
from tts_lang.syntax import nodes

FILES = sorted((FIXTURES / "strategies").glob("*.tts"))
_WORD = re.compile(r"[A-Za-z_]\w*|\d+")


def _check(text: str, name: str) -> int:
    """Checks a text and, if it has no errors, compiles everything in it."""
    source = Source.of(text, name)
    result = check_source(source)
    render_text(result.diagnostics)
    if result.ok:
        for strategy in result.strategies:
            if None not in strategy.parameters.values():
                verify(compile_strategy(source, strategy.name))
    return len(result.diagnostics)


def test_lines_that_nobody_types_are_not_rewritten() -> None:
    """Patterns of rewrites would take minutes for thousands of parentheses."""
    text = f"strategy s():\n    x = {'(' * 500}1{')' * 500}\n    return sample 1\n"
    found = check_source(Source.of(text, "deep.tts")).diagnostics

    def check(source: Source) -> Sequence[Diagnostic]:
        raise AssertionError(f"tried: {source.text}")

    assert repaired(found, check) == found


@pytest.mark.parametrize("seed", range(40))
def test_well_typed_programs_are_accepted(seed: int) -> None:
    source = Source.of(random_program(seed), "main.tts")
    assert [d for d in check_source(source).diagnostics if d.is_error] == []
    verify(compile_strategy(source, "main"))


def _one_strategy(text: str, choose: random.Random) -> str:
    """The declarations of a file and one of its strategies."""
    heads = [found.start() for found in re.finditer(r"^strategy", text, re.MULTILINE)]
    place = choose.randrange(len(heads))
    end = heads[place + 1] if place + 1 < len(heads) else len(text)
    return text[: heads[0]] + text[heads[place] : end]


@pytest.mark.parametrize("seed", range(100))
def test_a_word_put_in_place_of_another(seed: int) -> None:
    choose = random.Random(seed)
    path = choose.choice(FILES)
    text = _one_strategy(path.read_text("utf-8"), choose)
    words = list(_WORD.finditer(text))
    out, put = choose.choice(words), choose.choice(words).group()
    _check(text[: out.start()] + put + text[out.end() :], str(path))


@pytest.mark.parametrize("seed", range(40))
def test_a_line_taken_out(seed: int) -> None:
    choose = random.Random(seed)
    path = choose.choice(FILES)
    lines = _one_strategy(path.read_text("utf-8"), choose).split("\n")
    del lines[choose.randrange(len(lines))]
    _check("\n".join(lines), str(path))


def test_long_files() -> None:
    unions = "    pool = pool + (sample 1)\n" * 2000
    assert (
        _check(f"strategy s():\n    pool = sample 1\n{unions}    return vote pool\n", "s.tts") == 0
    )


@pytest.mark.parametrize("count", [9_000_000_000, 2])
def test_pools_of_more_rows_than_floats_count(count: int) -> None:
    """What bounds the rows has no bound itself: it is unknown beyond 1e100."""
    grown = f"    pool = expand pool by {count} steps\n    pool = pool + (fork pool into 2)\n" * 400
    text = f"strategy s():\n    pool = sample 1 step\n{grown}    return vote pool\n"
    assert _check(text, "s.tts") == 0
    [error] = check_source(Source.of(text.replace("vote pool", "pool"), "s.tts")).diagnostics
    assert (error.code, "up to" in error.message) == ("TTS305", False)


def test_loops_inside_loops_are_walked_a_bounded_number_of_times() -> None:
    depth = 30
    lines = ["strategy s():", "    p = sample 1 step", "    score p by prm"]
    lines += ["    " * (level + 1) + "repeat 3:" for level in range(depth)]
    lines += ["    " * (depth + 1) + "p = expand p by 1 step", "    return first of p"]
    assert _check("\n".join(lines) + "\n", "s.tts") == 1  # the score is never used


def test_a_chain_of_calls_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How a strategy samples depends on all that it calls: 300 in a row took a minute."""
    chain = "".join(f"strategy s{k}():\n    return s{k - 1}()\n\n" for k in range(1, 100))
    text = f"strategy s0():\n    return sample 1\n\n{chain}"
    walked: list[nodes.SyntaxNode] = []

    def walk(*roots: nodes.SyntaxNode) -> Iterator[nodes.SyntaxNode]:
        walked.extend(roots)
        return uses.walk(*roots)

    monkeypatch.setattr(sampling, "walk", walk)
    assert check_source(Source.of(text, "chain.tts")).ok
    assert len(walked) <= 2 * 100
