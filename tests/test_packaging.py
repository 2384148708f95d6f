"""What users install: the wheel, its types, its metadata; the versions that were tested."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Never

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tts_lang.release import release

ROOT = Path(__file__).resolve().parent.parent
#: What runs the wheel must not find the repository.
ELSEWHERE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

EXAMPLE = """
import tts_lang
from tts_runtime import Problem, Settings, run

plan = tts_lang.compile("greedy")
[result] = run(plan, [Problem("p", "1 + 1", "2")], settings=Settings())
answer: str | None = result.answers[0].answer
wrong: int = plan
reveal_type(result)
"""

#: Types of other packages take most of the time (torch, ray), and are not what is checked.
MYPY = """
[mypy]
strict = true
follow_imports = skip
[mypy-tts_lang.*,tts_runtime.*]
follow_imports = normal
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel as it is built, and this one's packages behind it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    venv.create(folder / "venv", symlinks=True)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "behind.pth").write_text(sysconfig.get_paths()["purelib"])
    return packages


def test_the_wheel_has_types(site: Path, tmp_path: Path) -> None:
    """A user's file is checked against both packages as installed, not against `Any`."""
    (tmp_path / "example.py").write_text(EXAMPLE)
    (tmp_path / "mypy.ini").write_text(MYPY)
    python = site.parents[2] / "bin" / "python"
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini"]
    command += ["--python-executable", str(python), "--cache-dir", "cache", "example.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ELSEWHERE, capture_output=True, text=True, check=False
    )
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("example.py:8: error: Incompatible types in assignment"), done.stdout
    assert '"Plan"' in first
    assert second == 'example.py:9: note: Revealed type is "tts_runtime.runs.results.Result"'
    assert "Found 1 error in 1 file" in done.stdout


def test_the_wheel_runs_outside_the_repository(site: Path, tmp_path: Path) -> None:
    """Strategies, grammar, models and problems are in it."""
    python = site.parents[2] / "bin" / "python"
    code = "from tts_runtime.cli import main; main()"
    command = [str(python), "-P", "-c", code, "greedy", "--limit", "2", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=ELSEWHERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    where = subprocess.run(
        [str(python), "-P", "-c", "import tts_lang, tts_runtime; print(tts_lang, tts_runtime)"],
        cwd=tmp_path,
        env=ELSEWHERE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.count(str(site)) == 2


def test_a_copy_that_is_not_installed_has_a_version_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkouts on PYTHONPATH and frozen programs have no metadata; their runs are recorded."""
    release.cache_clear()
    assert release() == PROJECT["version"]

    def missing(name: str) -> Never:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    release.cache_clear()
    assert release() == "checkout"
    release.cache_clear()


WINDOWS = """
import signal, sys
import tts_lang.cli.shared
for name in [each for each in sys.modules if each.startswith("tts_")]:
    del sys.modules[name]
del signal.SIGHUP
sys.platform = "win32"
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import tts_runtime.cli",
            "ImportError: tts_runtime needs Linux or macOS; on Windows, run it in WSL",
        ),
        ("from tts_lang.cli import main; main(['greedy'])", ""),
    ],
)
def test_windows_has_the_compiler_and_no_runtime(code: str, said: str) -> None:
    """As far as this system can tell: Windows has no SIGHUP, and waits for no pipe."""
    command = [sys.executable, "-c", WINDOWS + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith(said), done.stderr
    assert bool(done.stderr) is bool(said)


def test_nothing_else_is_in_the_wheel(site: Path) -> None:
    names = {path.name for path in site.iterdir()}
    assert names == {
        "tts_lang",
        "tts_runtime",
        f"tts_lang-{PROJECT['version']}.dist-info",
        "behind.pth",
    }


def test_the_core_needs_no_framework() -> None:
    """The bundled models run in NumPy: 230 MB instead of gigabytes."""
    core = {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
    assert not core & {"torch", "transformers", "tokenizers", "vllm", "scipy", "matplotlib"}


def test_constraints_have_every_dependency_in_its_range() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    pinned: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        pinned.setdefault(canonicalize_name(name), []).append(Version(version))
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"]]
    for extra in ("transformers", "tokenizers", "data", "docs", "dev"):
        needed += [each for each in extras[extra] if not each.startswith("tts-lang")]
    for wanted in map(Requirement, needed):
        versions = pinned.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted} is not in constraints.txt: run `make lock`"
        assert all(map(wanted.specifier.contains, versions)), wanted


def test_one_version_everywhere() -> None:
    assert f"version: {PROJECT['version']}" in (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("printed", "code", "said"),
    [
        (
            {"dependencies": [{"name": "a", "version": "1", "vulns": []}]},
            0,
            "0 known vulnerabilities in 1 packages",
        ),
        (
            {
                "dependencies": [
                    {
                        "name": "a",
                        "version": "1",
                        "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}],
                    }
                ]
            },
            1,
            "a 1: PYSEC-1, fixed in 2",
        ),
        (
            {"dependencies": [{"name": "a", "skip_reason": "not found"}]},
            0,
            "could not run: no vulnerability database can be reached",
        ),
        ("ConnectionError: no route", 0, "could not run: ConnectionError: no route"),
    ],
)
def test_an_audit_says_what_it_found_or_that_it_could_not_look(
    printed: object, code: int, said: str, tmp_path: Path
) -> None:
    fake = tmp_path / "pip-audit"
    out, err = ("", printed) if isinstance(printed, str) else (json.dumps(printed), "")
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nprint({out!r})\nprint({err!r}, file=sys.stderr)\n"
    )
    fake.chmod(0o700)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit"), str(fake), "constraints.txt"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-transformers.lock"])
def test_the_lock_files_have_the_tested_versions_with_hashes(lock: str) -> None:
    """`pip install --require-hashes -r LOCK` installs what the tests ran with."""
    pinned = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
    tested = {each.group() for each in pinned.finditer((ROOT / "constraints.txt").read_text())}
    text = (ROOT / lock).read_text()
    locked = [each.group() for each in pinned.finditer(text)]
    assert set(locked) <= tested
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(locked)
    named = {canonicalize_name(each.partition("==")[0]) for each in locked}
    assert {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]} <= named
