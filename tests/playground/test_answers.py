"""What the playground asks the compiler, outside a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from mkdocs.exceptions import PluginError

import tts_runtime.playground
from tests.support.shipped import FILES
from tests.support.site_hooks import site_hooks
from tts_lang.playground import NAME, answer

ROOT = Path(__file__).resolve().parents[2]
STRATEGY = "strategy few(n = 4):\n    pool = sample n\n    return vote pool\n"


def ask(**request: object) -> Any:
    return json.loads(answer(json.dumps(request)))


def test_a_check_has_mistakes_and_choices() -> None:
    right = ask(do="check", text=STRATEGY)
    assert right == {
        "diagnostics": [],
        "strategies": [{"name": "few", "parameters": {"n": "4"}}],
        "laws": 0,
    }
    wrong = ask(do="check", text=STRATEGY.replace("vote pool", "vote pol"))
    (found,) = wrong["diagnostics"]
    assert (found["file"], found["line"], found["column"]) == (NAME, 3, 17)
    (tried,) = ask(do="check", text=STRATEGY.replace("sample n", "sampel n"), tried=True)[
        "diagnostics"
    ]
    assert tried["suggestion"] == "did you mean 'sample'?"


@pytest.mark.parametrize(("form", "part"), [("text", "policy calls"), ("html", "<svg")])
def test_costs_at_values(form: str, part: str) -> None:
    found = ask(do="explain", text=STRATEGY, strategy="few", settings={"n": "7"}, form=form)
    assert "few(n = 7)" in found["page"]
    assert part in found["page"]
    default = ask(do="explain", text=STRATEGY, strategy="few", settings={"n": " "}, form=form)
    assert "few(n = 4)" in default["page"]


@pytest.mark.parametrize("value", ["many", "-1", "1/0"])
def test_a_value_that_does_not_fit_is_a_message(value: str) -> None:
    found = ask(do="explain", text=STRATEGY, strategy="few", settings={"n": value}, form="text")
    assert found["diagnostics"]
    assert "page" not in found


def ask_runtime(**request: object) -> Any:
    return json.loads(tts_runtime.playground.answer(json.dumps(request)))


def test_laws_are_proved_or_refuted() -> None:
    text = STRATEGY + "\nlaw few(n = 1) == few(n = 1)\nlaw few(n = 1) == few(n = 3)\n"
    proved, left = ask_runtime(do="laws", text=text)["page"].split(f"{NAME}:6: ")
    assert proved == f"{NAME}:5: proved: few(n = 1) == few(n = 1)\n"
    assert left.startswith("refuted: few(n = 1) == few(n = 3)\n")
    assert "no laws" in ask_runtime(do="laws", text=STRATEGY)["page"]
    assert ask_runtime(do="laws", text="law few() == few()\n")["diagnostics"]


def test_a_run_shows_the_tree_that_the_same_seed_gives_again() -> None:
    asked = {"do": "run", "text": STRATEGY, "strategy": "few", "settings": {"n": "3"}}
    one = ask_runtime(**asked, seed=1)
    assert one["diagnostics"] == []
    # The third sample is given up if two agree.
    assert re.search(r"vote at playground.tts:3: [23] nodes, classes ", one["page"])
    assert ask_runtime(**asked, seed=1) == one
    assert ask_runtime(**asked, seed=2) != one
    assert ask_runtime(**{**asked, "settings": {"n": "x"}}, seed=1)["diagnostics"]


def test_runs_that_fail_or_take_too_long_say_so() -> None:
    failing = STRATEGY.replace("vote pool", "vote pool weighted by 0 - 1")
    asked = {"do": "run", "strategy": "few", "seed": 0}
    assert "\n\nfailed: " in ask_runtime(**asked, text=failing, settings={})["page"]
    large = ask_runtime(**asked, text=STRATEGY, settings={"n": "5000"})
    assert large["page"].startswith("This is too large to be run in a browser")


@pytest.mark.parametrize("path", FILES[::12], ids=lambda path: path.stem)
def test_shipped_strategies_run(path: Path) -> None:
    text = next(each["text"] for each in ask(do="examples") if each["name"] == path.stem)
    strategy = ask(do="check", text=text)["strategies"][-1]["name"]
    found = ask_runtime(do="run", text=text, strategy=strategy, settings={}, seed=3)
    assert f"\n\n{strategy}: " in found["page"]


def test_what_runs_in_a_browser_imports_nothing_that_it_has_not() -> None:
    script = """
import sys
for name in ("numpy", "torch", "scipy", "multiprocessing", "ssl", "sympy", "aiohttp"):
    sys.modules[name] = None
import json, tts_runtime.playground as playground
asked = {"do": "run", "text": sys.argv[1], "strategy": "few", "settings": {}, "seed": 0}
print(json.loads(playground.answer(json.dumps(asked)))["page"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, STRATEGY], capture_output=True, text=True, check=False
    )
    assert "winner: node" in done.stdout, done.stderr


def test_a_text_is_formatted() -> None:
    assert ask(do="format", text=STRATEGY.replace(" = ", "="))["text"] == STRATEGY
    assert ask(do="format", text="strategy s(:\n")["diagnostics"]


def test_examples_are_the_shipped_files() -> None:
    found = {each["name"]: each["text"] for each in ask(do="examples")}
    assert found["beam_search"].startswith('import "best_of_n.tts"')
    assert found.keys() == {path.stem for path in FILES}
    for path in FILES[::4]:
        wrong = ask(do="check", text=found[path.stem])["diagnostics"]
        assert [each for each in wrong if each["severity"] == "error"] == []


def test_the_site_gets_both_packages_and_what_they_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = site_hooks()
    folder = tmp_path / "site" / "playground"
    folder.mkdir(parents=True)
    config = SimpleNamespace(site_dir=str(tmp_path), config_file_path=str(ROOT / "mkdocs.yml"))
    monkeypatch.setattr(hooks, "WASM", str(tmp_path))
    with pytest.raises(PluginError, match="`make docs` fetches it"):
        hooks.on_post_build(config)
    (tmp_path / "pydantic_core-1-cp314.whl").write_bytes(b"core")
    hooks.on_post_build(config)
    wanted = (ROOT / "docs" / "site" / "playground" / "worker.js").read_text(encoding="utf-8")
    made = sorted(path.name for path in folder.iterdir())
    assert made == sorted(re.findall(r'"(\w+\.whl)"', wanted))
    names = ZipFile(folder / "tts_lang.whl").namelist()
    assert "tts_lang/playground.py" in names
    assert "tts_lang/syntax/grammar.lark" in names
    assert "tts_lang/strategies/beam_search.tts" in names
    assert not [name for name in names if not name.startswith("tts_lang/")]
    names = ZipFile(folder / "tts_runtime.whl").namelist()
    assert "tts_runtime/playground.py" in names
    assert not [name for name in names if "safetensors" in name]
    assert "lark/grammars/python.lark" in ZipFile(folder / "lark.whl").namelist()


def test_a_run_needs_only_the_packages_that_the_page_loads() -> None:
    worker = (ROOT / "docs/site/playground/worker.js").read_text(encoding="utf-8")
    loaded = re.findall(r'"(\w+)\.whl"', worker)
    script = f"""
import sys

class OnlyLoaded:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        known = top in sys.stdlib_module_names or top in {loaded!r}
        if not (known or top.startswith("_")):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyLoaded())
from tts_runtime.playground import run
print(run({STRATEGY!r}, "few", {{}}, 0)["page"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert "winner: node" in done.stdout, done.stderr
