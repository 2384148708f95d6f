"""Options of `tts-run` that say which problems are run, and where a file has what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tts_run import Command


@pytest.fixture(autouse=True)
def _levels(tts_run: Command) -> None:  # noqa: ARG001  (its folder)
    rows = [{"No": n, "Frage": f"{n} + 1", "Antwort": n + 1, "level": n} for n in range(6)]
    Path("levels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("empty.yaml").write_text('grader: ""\n')


def test_an_empty_value_is_not_the_same_as_none(tts_run: Command) -> None:
    code, out, err = tts_run("greedy", "--problems", "")
    assert (code, out) == (2, "")
    assert "--problems: expected" in err


def test_options_of_a_run(tts_run: Command) -> None:
    fields = ("--fields", "problem=Frage,answer=Antwort", "--fields", "id=No")
    run = ("greedy", "--policy", "sim", "--problems", "levels.jsonl", *fields, "--out", "run")
    code, _, err = tts_run(*run, "--where", "level>=2", "--offset", "1", "--limit", "2")
    assert code == 0, err
    lines = Path("run/greedy/answers.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    assert sorted((each["id"], each["gold"]) for each in answers) == [("3", "4"), ("4", "5")]


def test_an_id_with_a_comma_is_quoted(tts_run: Command) -> None:
    rows = [{"id": each, "problem": "1 + 1"} for each in ("a,b", "c", 'd"', "e")]
    Path("commas.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = ("greedy", "--policy", "sim", "--problems", "commas.jsonl", "--out", "run")
    code, _, err = tts_run(*run, "--ids", 'c, "a,b",d"')
    assert code == 0, err
    lines = Path("run/greedy/answers.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == ["a,b", "c", 'd"']


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "the fields are 'No', 'Frage', 'Antwort', 'level': say which holds the text"),
        (("--fields", "problm=Frage"), "--fields: `problm=Frage`: a problem has no part `problm`"),
        (("--fields", "problem=Frage", "--where", "x=1"), "--where: no problem has a field `x`"),
        (("--fields", "problem=Frage", "--ids", "9"), "--ids: no problem has the id `9`"),
        (("--fields", "problem=Frage", "--ids", "a\nb"), "--ids: "),
        (("--fields", "problem=Frage,answer=nope"), "no row has a field 'nope'; the fields are"),
        (("--fields", "problem=Frage", "--offset", "-1"), "--offset: must be 0 or more"),
        (("--fields", ""), "--fields: expected PART=FIELD,..., not an empty text"),
        (("--fields", "problem=Frage", "--ids", ""), "--ids: expected ID,..., not an empty text"),
        (("--fields", "problem=Frage", "--ids", ","), "--ids: `,` names no id"),
        (("--fields", "problem=Frage", "--ids", " "), "--ids: ` ` names no id"),
        (("--fields", "problem=Frage", "--grader="), "--grader: expected GRADER, not an empty"),
        (("--fields", "problem=Frage", "--config", "empty.yaml"), "empty.yaml (grader): expected"),
    ],
)
def test_mistakes_of_options(options: tuple[str, ...], said: str, tts_run: Command) -> None:
    run = ("greedy", "--policy", "sim", "--problems", "levels.jsonl")
    code, out, err = tts_run(*run, *options)
    assert (code, out) == (2, "")
    assert said in err
