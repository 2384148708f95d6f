"""Whatever a file holds: no exception, and every broken file has an error at a sensible place."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.samples import sample_sources
from tts_lang.diagnostics import render_json, render_text
from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.format import format_source
from tts_lang.syntax.parser import MAX_ERRORS, ParseResult, parse, parse_bytes
from tts_lang.syntax.tokens import tokenize
from tts_lang.syntax.words import SIGNS, TERMINALS

SAMPLES = sample_sources()[:6]
PIECES = [*TERMINALS, *SIGNS, "name", "4", "0.5", "10%", '"t"', '"""', "\n", "\n    ", "\n        "]


def check(result: ParseResult) -> None:
    """What must hold for every result of the parser."""
    assert isinstance(result.file, nodes.File)
    assert len(result.diagnostics) <= MAX_ERRORS + 1
    assert render_text(result.diagnostics, color=True) or result.ok
    assert render_json(result.diagnostics)
    for diagnostic in result.diagnostics:
        assert 0 <= diagnostic.span.start <= len(diagnostic.source.text)
    if result.ok:
        assert not _broken(result.file)
        formatted = format_source(result.source)
        again = parse(Source.of(formatted))
        assert again.file == result.file
        assert format_source(again.source) == formatted


def _broken(file: nodes.File) -> bool:
    return any(isinstance(item, nodes.Broken) for item in file.items)


@settings(deadline=None, max_examples=70, derandomize=True)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    check(parse_bytes(data, "f"))


@settings(deadline=None, max_examples=70, derandomize=True)
@given(st.text(max_size=100))
def test_random_text(text: str) -> None:
    check(parse(Source.of("strategy s():\n    x = " + text)))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_random_words(pieces: list[str]) -> None:
    check(parse(Source.of("strategy s():\n    " + " ".join(pieces))))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.sampled_from(SAMPLES), st.floats(0, 1))
def test_truncated_files(source: Source, part: float) -> None:
    check(parse(Source.of(source.text[: int(part * len(source.text))])))


@settings(deadline=None, max_examples=80, derandomize=True)
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_mutated_files(source: Source, rng: random.Random) -> None:
    text = source.text
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at, length = rng.randrange(len(text)), rng.randrange(6)
        piece = rng.choice(["", " ", *PIECES, "@", "\t", "'"])
        text = text[:at] + piece + text[at + length :]
    check(parse(Source.of(text)))


def test_one_changed_token_gives_an_error_near_it() -> None:
    """Of single mutations that break a file, nearly all give one report, on the line itself."""
    rng = random.Random(5)
    broken = single = near = 0
    for source in SAMPLES[:2]:
        tokens = [token for token in tokenize(source).tokens if token.text and token.type != "TEXT"]
        for _ in range(60):
            token = rng.choice(tokens)
            other = rng.choice(tokens).text
            replacement = rng.choice(["", other, f"{token.text} {other}"])
            result = parse(
                Source.of(source.text[: token.start] + replacement + source.text[token.end :])
            )
            if result.ok:
                continue
            broken += 1
            single += len(result.diagnostics) == 1
            line = source.position(token.start).line
            found = result.source.position(result.diagnostics[0].span.start).line
            near += abs(found - line) <= 1
    assert broken > 70
    assert single / broken > 0.93
    assert near / broken > 0.97


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    for inner in (
        "(" * 5000,
        "(" * 5000 + ")" * 5000,
        "-" * 5000 + "1",
        "not " * 5000 + "a",
        "2 ** " * 5000 + "2",
        "1 + " * 5000 + "1",
        "f(" * 5000,
        "a if b else " * 5000 + "c",
    ):
        result = parse(Source.of(f"strategy s():\n    x = {inner}\n    return x\n"))
        assert result.diagnostics
        check(result)
    blocks = "".join("    " * (level + 1) + "if a:\n" for level in range(200))
    check(parse(Source.of("strategy s():\n" + blocks + "    " * 201 + "x = 1\n")))
    chain = "    if a:\n        x = 1\n" + "    else if a:\n        x = 1\n" * 2000
    check(parse(Source.of("strategy s():\n" + chain)))


def test_long_files() -> None:
    body = "".join(f"    x = expand x by {n} steps  # {n}\n" for n in range(3000))
    result = parse(Source.of("strategy s():\n    x = problem\n" + body + "    return x\n"))
    assert result.ok
    (strategy,) = result.file.items
    assert isinstance(strategy, nodes.StrategyDeclaration)
    assert len(strategy.body) == 3002
    broken = parse(Source.of("strategy s():\n" + "    x = = 1\n" * 10_000))
    assert len(broken.diagnostics) == MAX_ERRORS + 1
