"""The hooks of the documentation's site, which MkDocs loads by their path."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

_PATH = Path(__file__).resolve().parents[2] / "docs" / "site" / "hooks.py"


def site_hooks() -> ModuleType:
    """The module."""
    spec = importlib.util.spec_from_file_location("hooks", _PATH)
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    return hooks
