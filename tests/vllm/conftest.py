"""Engines and servers of vLLM, started once per test run (`make test-vllm` installs vLLM)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.tiny_models import tiny_model
from tests.support.vllm_engines import Engines, Server
from tts_runtime.paths import bundled

# Without vLLM there is nothing to test here.
collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """Shared engines."""
    kept = Engines()
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def public_engines() -> Iterator[Engines]:
    """Engines without vLLM's undocumented parts, closed after a module: they take memory."""
    kept = Engines("off")
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random policy of the bundled policy's shape."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "policy")


@pytest.fixture(scope="session")
def served_policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The bundled policy behind vLLM's OpenAI-compatible server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    command = [
        # `vllm serve` asks for the version of a package `vllm`, which the CPU build is not called.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(bundled("policy"))),
        *("--host", "127.0.0.1", "--port", str(port), "--served-model-name", "bundled"),
        *("--dtype", "float32", "--enforce-eager", "--kv-cache-memory-bytes", str(2**28)),
        *("--generation-config", "vllm", "--max-num-seqs", "64"),
    ]
    variables = os.environ | {"TORCHDYNAMO_DISABLE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=variables, start_new_session=True
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield Server(f"http://127.0.0.1:{port}/v1", "bundled")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"vllm serve ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vllm serve did not start: {log.read_text()[-2000:]}")
