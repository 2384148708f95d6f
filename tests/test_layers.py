"""Layering, read from the imports: the compiler knows no engine, engines load only when chosen."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "transformers", "vllm", "ray"}
#: Modules that may import an engine's libraries at their top: only the engines themselves.
ENGINE_FOLDER = ROOT / "runtime" / "tts_runtime" / "engines"


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """First parts of the names that a module imports, type-checking imports left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def modules(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, folder
    return found


@pytest.mark.parametrize("path", modules("tts_lang"), ids=lambda path: str(path.relative_to(ROOT)))
def test_compiler_imports_no_runtime_and_no_engine(path: Path) -> None:
    assert not imported(path) & (HEAVY | {"tts_runtime", "numpy", "pydantic"})


@pytest.mark.parametrize(
    "path", modules("runtime/tts_runtime"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_only_engines_import_engine_libraries(path: Path) -> None:
    if ENGINE_FOLDER not in path.parents:
        assert not imported(path) & HEAVY


@pytest.mark.parametrize("module", ["tts_lang", "tts_lang.cli", "tts_runtime", "tts_runtime.cli"])
def test_importing_starts_no_engine(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(shown.stdout.split())
    assert not loaded & (HEAVY | {"sympy", "networkx", "matplotlib"})


@pytest.mark.parametrize("folder", ["tts_lang", "runtime", "tests", "benchmarks"])
def test_no_file_is_too_long_to_read_in_one_sitting(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules(folder)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long
