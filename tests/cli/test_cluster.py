"""`tts-run --cluster`: what it refuses; tests/cluster has the runs."""

from __future__ import annotations

import sys

import pytest

from tests.support.tts_run import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cluster", "slurm"), "expected `ray` or `ray://HOST:PORT`"),
        (("--cluster", "ray?gpu=1"), "such as `ray?cpus=4&gpus=1`"),
        (("--cluster", "ray?gpus=-1"), "such as `ray?cpus=4&gpus=1`"),
        (("--replicas", "2"), "name one with --cluster ray"),
        (("--cluster", "ray", "--replicas", "0"), "1 or more"),
        (("--cluster", "ray", "--ask", "1 + 1"), "it does not go with --cluster"),
    ],
)
def test_what_cannot_be_run_is_said(
    arguments: tuple[str, ...], message: str, tts_run: Command
) -> None:
    code, _, said = tts_run("majority", *arguments)
    assert code == 2
    assert message in " ".join(said.split())


def test_without_ray_it_says_what_to_install(
    tts_run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, said = tts_run("majority", "--limit", "1", "--cluster", "ray")
    assert code == 2
    assert "pip install 'tts-lang[ray]'" in said
