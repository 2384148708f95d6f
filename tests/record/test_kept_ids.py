"""`--keep ids,logprobs`: a record from which every path can be put together, token by token."""

from __future__ import annotations

from pathlib import Path

import pytest

import tts_runtime
from tests.support.tts_run import Command
from tts_runtime.engines.registry import find_policy
from tts_runtime.record.reader import open_run

SEARCH = ("beam_search", "budget_forcing", "--set", "n=4", "--set", "width=2", "--set", "depth=3",
          "--policy", "sim", "--scorer", "prm=sim", "--problems", "two.jsonl")  # fmt: skip


@pytest.fixture
def tts_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    from tests.support.tts_run import two_problems

    monkeypatch.chdir(tmp_path)
    two_problems(tmp_path)
    return Command(capsys)


def test_ids_and_their_logprobs_are_those_that_were_sampled(tts_run: Command) -> None:
    assert tts_run(*SEARCH, "--keep", "ids,logprobs", "--out", "run")[0] == 0
    assert tts_run(*SEARCH, "--out", "plain")[0] == 0
    run, plain = open_run("run"), open_run("plain")
    pieces = find_policy("sim")().tokenizer.pieces
    assert run.verify() == []
    for name in ("beam_search", "budget_forcing"):
        for tree in run.strategy(name).trees():
            for uid, node in tree.nodes.items():
                prompt, ids = tree.ids(uid)
                assert prompt
                assert len(ids) == node.ids
                assert b"".join(map(pieces.__getitem__, ids)).decode(
                    "utf-8", "replace"
                ) == tree.text(uid)
                assert node.token_logprobs is not None
                assert node.token_ids is not None
                assert len(node.token_logprobs) == len(node.token_ids)
                known = [each for part in tree.path(uid) for each in part.token_logprobs or ()
                         if each is not None]  # fmt: skip
                assert len(known) == node.tokens
                if node.finish != "end" and node.logprob is not None:
                    assert sum(known) == pytest.approx(node.logprob)
            other = plain.tree(tree.problem.id, name)
            assert other.answer == tree.answer
            assert tree.text(1) == other.text(1)
            with pytest.raises(ValueError, match="run with --keep ids"):
                other.ids(1)


def test_what_cannot_be_kept(tts_run: Command) -> None:
    for arguments, said in (
        (("--keep", "id", "--out", "x"), "--keep: `id`: did you mean 'ids'?"),
        (("--keep", "ids"), "--keep: name the run directory to keep it in, --out DIR"),
    ):
        code, _, err = tts_run(*SEARCH, *arguments)
        assert (code, said in err) == (2, True)
    with pytest.raises(ValueError, match="expected ids or logprobs"):
        tts_runtime.Settings(keep=["texts"])
    assert tts_run(*SEARCH, "--out", "run")[0] == 0
    assert "other --keep" in tts_run(*SEARCH, "--keep", "ids", "--out", "run")[2]
