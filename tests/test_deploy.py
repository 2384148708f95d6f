"""Files of `deploy/`: their commands have options that exist, and copy what is there."""

from __future__ import annotations

import json
import re
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import yaml

import tts_lang
from tts_runtime.cli.options import engine_names
from tts_runtime.cli.parser import parser as run_parser
from tts_runtime.cli.serve import serve_parser

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def container(name: str) -> Any:
    pod = next(each for each in documents(name) if each["kind"] != "Service")["spec"]["template"]
    return pod["spec"]["containers"][0]


def usable(options: Namespace) -> None:
    """Strategies are shipped, and each scorer is one that they use."""
    plans = [tts_lang.compile(name) for name in options.strategies]
    used = {scorer.name for plan in plans for scorer in plan.scorers}
    engine_names("--scorer", options.scorer).check_used(used)


def served(arguments: list[str]) -> None:
    """The entry point takes these arguments, and names strategies that are shipped."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    entry = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT"))[11:])
    assert entry[0] == "tts-serve"
    options = serve_parser().parse([*entry[1:], *arguments])
    usable(options)
    assert options.host == "0.0.0.0"


def test_the_image_copies_what_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)
        for source in line.split()[:-1]
    ]
    assert all((ROOT / source).exists() for source in sources)
    assert {"tts_lang", "runtime", "strategies", "pyproject.toml"} <= set(sources)
    served(json.loads(text.rpartition("CMD ")[2]))


def test_compose_and_prometheus_name_each_other() -> None:
    [compose] = documents("compose.yaml")
    served(compose["services"]["tts"]["command"])
    [prometheus] = documents("prometheus.yml")
    assert prometheus["scrape_configs"][0]["static_configs"][0]["targets"] == ["tts:8000"]


def test_kubernetes_serves_and_runs_shards() -> None:
    served(container("kubernetes.yaml")["args"])
    [line] = container("shards.yaml")["args"]
    run = line.replace("$((JOB_COMPLETION_INDEX + 1))", "16")
    options = run_parser().parse(shlex.split(run)[2:])
    assert options.shard == "16/16"
    usable(options)
    [job] = documents("shards.yaml")
    assert job["spec"]["completions"] == 16


@pytest.mark.parametrize("name", ["kubernetes.yaml", "shards.yaml"])
def test_services_do_not_set_options(name: str) -> None:
    """A service `tts` would set TTS_PORT in every pod."""
    pods = [each for each in documents(name) if each["kind"] != "Service"]
    assert all(each["spec"]["template"]["spec"]["enableServiceLinks"] is False for each in pods)
