"""`make size`: how large the code is, and where it says things twice.

Prints files, lines and classes by folder, class names that are defined in more than one place,
circles of imports, the files that name one small verb (`Sort`), which is what a new verb costs, and
variables with a name that fits any value.
`--check` fails if a number is above the limits below, which only ever go down.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"tts_lang": ROOT / "tts_lang", "tts_runtime": ROOT / "runtime" / "tts_runtime"}
#: Names that fit any value, so that nobody can search for them; say what the variable holds.
VAGUE = frozenset({"asked", "found", "given", "kept", "known", "made"})
#: Class names defined twice, modules in circles of imports, variables with such names, at most.
LIMITS = {"class names used twice": 0, "modules in circles": 0, "vague variables": 366}


@dataclass
class Module:
    """What one file defines and imports; imports under TYPE_CHECKING and in functions count."""

    path: Path
    tree: ast.Module
    imports: set[str] = field(default_factory=set)

    @cached_property
    def import_statements(self) -> list[ast.Import | ast.ImportFrom]:
        """All of them, in order."""
        return list(_imports_in(self.tree))


def modules() -> dict[str, Module]:
    """By dotted name."""
    loaded = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            loaded[name] = Module(path, ast.parse(path.read_text(encoding="utf-8")))
    return linked(loaded)


def linked(loaded: dict[str, Module]) -> dict[str, Module]:
    """The modules with what they import of each other."""
    for name, module in loaded.items():
        module.imports = {target for target in _targets(module, loaded) if target != name}
    return loaded


def _imports_in(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Those below a statement; expressions, most of a tree, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _imports_in(child)


def _targets(module: Module, known: dict[str, Module]) -> Iterator[str]:
    for node in module.import_statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from PACKAGE import MODULE` reads the package's face, `import a.b as b` does not.
            yield from (name for name in [node.module] if name in known)
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if name in known)


def circles(loaded: dict[str, Module]) -> list[list[str]]:
    """Groups of modules that import each other, the largest first."""
    graph = nx.DiGraph((name, target) for name, it in loaded.items() for target in it.imports)
    groups = [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]
    return sorted(groups, key=len, reverse=True)


def repeated_classes(loaded: dict[str, Module]) -> dict[str, list[str]]:
    """Public names of classes at the top of more than one module, and the modules."""
    homes = defaultdict(list)
    for name, module in loaded.items():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    return {name: places for name, places in sorted(homes.items()) if len(places) > 1}


def naming(loaded: dict[str, Module], verb: str) -> list[str]:
    """Modules that name the operator of a verb."""
    return [
        name
        for name, module in loaded.items()
        if any(
            (isinstance(node, ast.Name) and node.id == verb)
            or (isinstance(node, ast.Attribute) and node.attr == verb)
            or (isinstance(node, ast.ClassDef) and node.name == verb)
            for node in ast.walk(module.tree)
        )
    ]


def vague(loaded: dict[str, Module]) -> int:
    """Variables and parameters with a name of `VAGUE`."""
    nodes = [node for module in loaded.values() for node in ast.walk(module.tree)]
    variables = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return sum(
        name in VAGUE for name in [*variables, *(n.arg for n in nodes if isinstance(n, ast.arg))]
    )


def main() -> None:
    """Prints the figures; with `--check` exits with 1 if one is above its limit."""
    loaded = modules()
    for package in PACKAGES:
        own = [module for name, module in loaded.items() if name.split(".")[0] == package]
        lines = sum(len(module.path.read_text(encoding="utf-8").splitlines()) for module in own)
        classes = sum(isinstance(node, ast.ClassDef) for m in own for node in ast.walk(m.tree))
        print(f"{package}: {len(own)} files, {lines:,} lines, {classes} classes")
    twice, rings = repeated_classes(loaded), circles(loaded)
    print(f"class names used twice: {len(twice)}")
    for name, places in twice.items():
        print(f"  {name}: {', '.join(places)}")
    print(f"circles of imports: {len(rings)}" + "".join(f"\n  {len(r)}: {r[0]} ..." for r in rings))
    print(f"files that name the verb `sort`: {len(naming(loaded, 'Sort'))}")
    figures = {
        "class names used twice": len(twice),
        "modules in circles": sum(map(len, rings)),
        "vague variables": vague(loaded),
    }
    print(f"variables called {', '.join(sorted(VAGUE))}: {figures['vague variables']}")
    over = [name for name, figure in figures.items() if figure > LIMITS[name]]
    for name in over if "--check" in sys.argv else ():
        print(f"{name}: {figures[name]}, more than {LIMITS[name]}", file=sys.stderr)
    sys.exit(bool(over) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
