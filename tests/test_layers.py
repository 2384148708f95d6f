"""Layering, read from the imports: no circles, the floors of the executor, engines load late."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from benchmarks import code_size

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "transformers", "vllm", "ray", "inspect_ai", "lm_eval"}
#: Modules that may import heavy libraries: the engines, what starts replicas of them, and what
#: harnesses load.
ENGINES = "tts_runtime.engines"
CLUSTER = "tts_runtime.cluster"
ADAPTERS = "tts_runtime.adapters"

#: The floors of the executor, lowest first: a module imports only modules of lower floors.
FLOORS = (
    ("nodes", "problem"),
    ("rows",),
    ("pools", "views", "requests", "records"),
    ("scheduler", "engine_calls"),
    ("expressions", "problem_run", "abilities"),
    ("clauses",),
    ("scope", "generation", "replay"),
    ("program",),
    (
        *("ops.control", "ops.edit", "ops.judge", "ops.sample", "ops.score", "ops.select"),
        *("ops.tree", "early_exit", "speculation"),
    ),
    ("ops",),
    ("bind",),
    ("execute",),
    ("",),
)


@cache
def everything() -> dict[str, code_size.Module]:
    return code_size.modules()


def below(package: str) -> dict[str, code_size.Module]:
    """The modules of a package."""
    found = {
        name: module
        for name, module in everything().items()
        if name == package or name.startswith(f"{package}.")
    }
    assert found, package
    return found


def imported(module: code_size.Module, *, top_level_only: bool = False) -> set[str]:
    """First parts of the names that a module imports."""
    names: set[str] = set()
    for node in module.tree.body if top_level_only else module.import_statements:
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def importing(package: str, *libraries: str) -> set[str]:
    """The modules of a package that import one of these, at their top or later."""
    return {name for name, module in below(package).items() if imported(module) & {*libraries}}


def test_compiler_imports_no_runtime_and_no_engine() -> None:
    assert not importing("tts_lang", *HEAVY, "tts_runtime", "numpy", "pydantic")


def test_only_the_language_server_imports_its_library() -> None:
    found = importing("tts_lang", "pygls", "lsprotocol")
    assert {name.split(".")[1] for name in found} == {"lsp"}
    command = everything()["tts_lang.lsp.command"]
    assert not imported(command, top_level_only=True) & {"pygls", "lsprotocol"}


def test_only_engines_import_engine_libraries() -> None:
    found = importing("tts_runtime", *HEAVY)
    assert found
    assert all(name.startswith((f"{ENGINES}.", f"{CLUSTER}.", f"{ADAPTERS}.")) for name in found)


@pytest.mark.parametrize("module", ["tts_lang", "tts_lang.cli", "tts_runtime", "tts_runtime.cli"])
def test_importing_starts_no_engine(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(shown.stdout.split())
    assert not loaded & (HEAVY | {"sympy", "networkx", "matplotlib"})


def test_the_bundled_models_run_without_torch() -> None:
    """`pip install` of the core is enough for them."""
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'tokenizers', 'huggingface_hub'):\n"
        "    sys.modules[name] = None\n"
        "from tts_runtime.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "beam_search", "--limit", "1", "--set", "n=4"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert shown.returncode == 0, shown.stderr
    assert "beam_search" in shown.stdout


@pytest.mark.parametrize("folder", ["tts_lang", "runtime", "tests", "benchmarks"])
def test_no_file_is_too_long_to_read_in_one_sitting(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def test_no_module_imports_itself_in_a_circle() -> None:
    """Imports for type checking and inside functions count."""
    assert code_size.circles(everything()) == []


def test_one_class_name_has_one_meaning() -> None:
    assert code_size.repeated_classes(everything()) == {}


@pytest.mark.parametrize(
    "source",
    [
        "import tts_lang.b",
        "from tts_lang.b import x",
        "from tts_lang import b",
        "if TYPE_CHECKING:\n    from tts_lang.b import x",
        "def f():\n    from tts_lang import b",
    ],
)
def test_every_kind_of_import_closes_a_circle(source: str) -> None:
    modules = {
        name: code_size.Module(Path(name), ast.parse(text))
        for name, text in {"tts_lang.a": source, "tts_lang.b": "import tts_lang.a"}.items()
    }
    assert code_size.circles(code_size.linked(modules)) == [["tts_lang.a", "tts_lang.b"]]


def test_no_import_is_relative() -> None:
    """The graph of imports is read from names."""
    for name, module in everything().items():
        for node in module.import_statements:
            assert not (isinstance(node, ast.ImportFrom) and node.level), name


def test_the_executor_has_floors() -> None:
    """A module of the executor imports only modules of lower floors."""
    package = "tts_runtime.executor"
    floors = {
        f"{package}.{name}".rstrip("."): floor
        for floor, names in enumerate(FLOORS)
        for name in names
    }
    found = below(package)
    assert found.keys() == floors.keys()
    upwards = [
        f"{name} imports {target}"
        for name, module in found.items()
        for target in module.imports
        if target in floors and floors[target] >= floors[name]
    ]
    assert not upwards


#: What vLLM documents, and the one file that may use it, if any.
DOCUMENTED = {
    "vllm": "",
    "vllm.config": "",
    "vllm.lora.request": "",
    "vllm.model_executor.layers.layernorm": "cpu_kernels.py",
    "vllm.platforms": "device.py",
    "vllm.sampling_params": "",
    "vllm.v1.sample.logits_processor": "processor.py",
}


def test_undocumented_parts_of_vllm_are_in_one_module() -> None:
    """Imports count, and names of modules in texts."""
    for module in below(f"{ENGINES}.vllm").values():
        names: set[str] = set()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.update([node.value] if " " not in node.value else [])
        file = module.path.name
        undocumented = {
            name
            for name in names
            if name.startswith("vllm.") and DOCUMENTED.get(name, "none") not in ("", file)
        }
        assert not undocumented or file == "internals.py", module.path


def test_only_the_engine_of_vllm_imports_vllm() -> None:
    found = importing("tts_runtime", "vllm")
    assert found
    assert all(name.startswith(f"{ENGINES}.vllm") for name in found)
