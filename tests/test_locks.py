"""The lock files fit the metadata, and an audit that could not look says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-transformers.lock": [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["transformers"],
    ],
}


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_has_every_dependency_in_its_range_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+)(.*(?:\n    --hash=.*)*)", text, re.MULTILINE)
    assert all("--hash=sha256:" in rest for _, _, rest in entries)
    assert "://" not in text
    locked = {canonicalize_name(package): Version(version) for package, version, _ in entries}
    for wanted in map(Requirement, WANTED[name]):
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted


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
        [sys.executable, str(ROOT / ".ci" / "audit"), str(fake), "requirements.lock"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout
