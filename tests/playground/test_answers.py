"""What the playground asks the compiler, outside a browser."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest

from tests.support.shipped import FILES
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


def test_laws_are_proved_or_left_open() -> None:
    text = STRATEGY + "\nlaw few(n = 1) == few(n = 1)\nlaw few(n = 1) == few(n = 2)\n"
    proved, left = ask(do="laws", text=text)["page"].split(f"{NAME}:6: ")
    assert proved == f"{NAME}:5: proved: few(n = 1) == few(n = 1)\n"
    assert left.startswith("not proved: law few(n = 1) == few(n = 2)\n")
    assert "no laws" in ask(do="laws", text=STRATEGY)["page"]
    assert ask(do="laws", text="law few() == few()\n")["diagnostics"]


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


def test_the_site_gets_the_compiler_and_what_it_imports(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "site" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    folder = tmp_path / "site" / "playground"
    folder.mkdir(parents=True)
    hooks.on_post_build(
        SimpleNamespace(site_dir=str(tmp_path), config_file_path=str(ROOT / "mkdocs.yml"))
    )
    wanted = (ROOT / "docs" / "site" / "playground" / "worker.js").read_text(encoding="utf-8")
    made = sorted(path.name for path in folder.iterdir())
    assert all(f'"{name}"' in wanted for name in made)
    names = ZipFile(folder / "tts_lang.whl").namelist()
    assert "tts_lang/playground.py" in names
    assert "tts_lang/syntax/grammar.lark" in names
    assert "tts_lang/strategies/beam_search.tts" in names
    assert not [name for name in names if not name.startswith("tts_lang/")]
    assert "lark/grammars/python.lark" in ZipFile(folder / "lark.whl").namelist()
