"""Golden files: expected text beside the fixture that gives it."""

from __future__ import annotations

from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
DIAGNOSTICS = FIXTURES / "diagnostics"
SYNTAX = FIXTURES / "syntax"


def check_golden(path: Path, actual: str, update: bool) -> None:
    """Compare a text with a golden file, or write the file (`pytest --update-golden`)."""
    if update:
        path.write_text(actual, "utf-8")
    assert path.exists(), f"{path.name} is missing: run pytest --update-golden and read it"
    assert actual == path.read_text("utf-8")
