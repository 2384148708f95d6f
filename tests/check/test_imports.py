"""Files that import files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tts_lang import library
from tts_lang.compiler import check_path, check_source, compile_strategy
from tts_lang.diagnostics import render_text
from tts_lang.plan.expr import Const
from tts_lang.plan.graph import Ask
from tts_lang.readers import MAX_TEXT_BYTES
from tts_lang.source import Source

ONE = "strategy {name}():\n    return sample 1\n"


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.tts").write_text(text, "utf-8")
    return folder / "main.tts"


def _codes(path: Path) -> list[str]:
    return [diagnostic.code for diagnostic in check_path(path).diagnostics]


def test_paths_are_relative_to_the_importing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    _write(tmp_path / "deep", leaf=ONE.format(name="leaf"))
    _write(tmp_path, near='import "deep/leaf.tts"\n\nstrategy near():\n    return leaf()\n')
    main = _write(tmp_path, main='import "near.tts"\n\nstrategy main():\n    return near()\n')
    monkeypatch.chdir(tmp_path / "deep")
    assert _codes(main) == []
    assert compile_strategy(main).strategy == "main"


def test_only_what_a_file_declares_itself_is_imported(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        a=ONE.format(name="a"),
        b='import "a.tts"\n\nstrategy b():\n    return a()\n',
        main='import "b.tts"\n\nstrategy main():\n    return a()\n',
    )
    assert _codes(main) == ["TTS201"]


def test_one_file_may_come_in_by_two_ways(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        a=ONE.format(name="a"),
        b='import "a.tts"\n\nstrategy b():\n    return a()\n',
        main='import "a.tts"\nimport "b.tts"\n\nstrategy main():\n    return vote a() + b()\n',
    )
    assert _codes(main) == []


def test_equal_declarations_of_policies_and_scorers_are_one(tmp_path: Path) -> None:
    parts = "policy small\nscorer orm per solution from 0 to 1\n\n"
    main = _write(
        tmp_path,
        a=parts + ONE.format(name="a"),
        main='import "a.tts"\n' + parts + "strategy main():\n    return sample 1 from small\n",
    )
    assert _codes(main) == []
    _write(tmp_path, a="scorer orm per step\n\n" + ONE.format(name="a"))
    assert _codes(main) == ["TTS202"]


def test_errors_of_an_imported_file_are_shown_in_that_file(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        a="strategy a():\n    retrun sample 1\n",
        main='import "a.tts"\n\nstrategy main():\n    return a()\n',
    )
    diagnostics = check_path(main).diagnostics
    assert {Path(diagnostic.source.name).name for diagnostic in diagnostics} == {"a.tts"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('prompt p = "{txt}"\n\nstrategy a():\n    return ask p about problem\n', "TTS217"),
        ("strategy a(n = 1):\n    answer = sample n\n    return vote answer\n", "TTS202"),
        (
            'judge j:\n    "{candidates}"\n    read number\n\n'
            "strategy a():\n    p = sample 1\n    score p by j\n    return best of p by j\n",
            "TTS217",
        ),
    ],
)
def test_what_an_imported_strategy_uses_is_checked(tmp_path: Path, text: str, code: str) -> None:
    main = _write(tmp_path, a=text, main='import "a.tts"\n\nstrategy main():\n    return a()\n')
    (diagnostic,) = check_path(main).diagnostics
    assert (diagnostic.code, Path(diagnostic.source.name).name) == (code, "a.tts")


def test_defaults_of_prompts_mean_what_they_mean_in_their_file(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        a='prompt p(limit = 8) = "{text} {limit}"\n\n' + ONE.format(name="a"),
        main='import "a.tts"\n\nstrategy main():\n    return ask p about problem\n',
    )
    ask = compile_strategy(main).body.operations[0].spec
    assert isinstance(ask, Ask)
    assert ask.arguments == (("limit", Const(8)),)


def test_an_error_in_an_inlined_strategy_says_where_it_was_called(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        a="strategy a(n = 4):\n    return vote (sample n)\n",
        main='import "a.tts"\n\nstrategy main():\n    return a(0)\n',
    )
    (diagnostic,) = check_path(main).diagnostics
    assert Path(diagnostic.source.name).name == "a.tts"
    assert diagnostic.notes == (f"called as a(n = 0) at {main}:4",)


def test_a_file_that_cannot_be_read_hides_no_other_error(tmp_path: Path) -> None:
    main = _write(
        tmp_path,
        main='import "gone.tts"\n\nstrategy main(n = 0):\n    f()\n    return vote (sample n)\n',
    )
    assert _codes(main) == ["TTS551", "TTS136", "TTS301"]


@pytest.mark.parametrize("path", ["\\u0000", "a" * 5000, ".", "..", ""])
def test_odd_paths_are_reported(tmp_path: Path, path: str) -> None:
    main = _write(tmp_path, main=f'import "{path}"\n\n' + ONE.format(name="main"))
    assert "TTS551" in _codes(main) or any(code.startswith("TTS1") for code in _codes(main))


SECRET = "API_KEY=sk-very-secret\n"


def _refused(main: Path) -> str:
    """What is said about the one import that is refused; nothing of the file is quoted."""
    found = check_path(main).diagnostics
    assert [each.code for each in found] == ["TTS551"]
    assert "secret" not in render_text(found).replace("secret.env", "").replace("secret.tts", "")
    return found[0].message


def _importing(folder: Path, path: str) -> Path:
    folder.mkdir(exist_ok=True)
    return _write(folder, main=f'import "{path}"\n\n' + ONE.format(name="main"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/proc/self/environ", "is no strategy file"),
        ("../secret.env", "is no strategy file"),
        ("../secret.tts", "is outside the project"),
        ("below/../../secret.tts", "is outside the project"),
        ("/etc/passwd.tts", "is outside the project"),
        ("out.tts", "is a link that leads out of the project"),
        ("linked/secret.tts", "is a link that leads out of the project"),
        ("disguised.tts", "is a link to what is no strategy file"),
        ("loop.tts", "is a link that leads back to itself"),
        ("pipe.tts", "is a pipe"),
        ("below.tts", "is a folder"),
        ("null.tts", "is a link that leads out of the project"),
    ],
)
def test_only_strategies_of_the_project_are_read(tmp_path: Path, path: str, why: str) -> None:
    project = tmp_path / "project"
    main = _importing(project, path)
    for name in ("secret.env", "secret.tts"):
        (tmp_path / name).write_text(SECRET, "utf-8")
    (project / "secret.env").write_text(SECRET, "utf-8")
    (project / "out.tts").symlink_to("../secret.tts")
    (project / "linked").symlink_to("..")
    (project / "disguised.tts").symlink_to("secret.env")
    (project / "loop.tts").symlink_to("loop.tts")
    (project / "null.tts").symlink_to("/dev/null")
    (project / "below.tts").mkdir()
    (project / "below").mkdir()
    os.mkfifo(project / "pipe.tts")
    assert why in _refused(main)


def test_a_file_of_more_than_128_kib_is_not_read(tmp_path: Path) -> None:
    main = _importing(tmp_path / "project", "a.tts")
    large = tmp_path / "project" / "a.tts"
    text = "# x\n" * 40_000 + ONE.format(name="a")
    large.write_text(text, "utf-8")
    for result in (check_path(main), check_path(large), check_source(Source.of(text, "a.tts"))):
        (found,) = result.diagnostics
        assert (found.code, found.message) == ("TTS100", "cannot read the file: more than 128 KiB")
        assert found.suggestion is not None
        assert "to a second file, and `import` that" in found.suggestion
    most = ONE.format(name="a")
    large.write_text("#" * (MAX_TEXT_BYTES - len(most) - 1) + "\n" + most, "utf-8")
    assert check_path(main).ok


def test_links_inside_the_project_and_shipped_files_are_fine(tmp_path: Path) -> None:
    project = tmp_path / "project"
    main = _importing(project, "link.tts")
    (project / "below").mkdir()
    (project / "below" / "a.tts").write_text('import "../b.tts"\n' + ONE.format(name="a"), "utf-8")
    (project / "b.tts").write_text('import "majority.tts"\n' + ONE.format(name="b"), "utf-8")
    (project / "link.tts").symlink_to("below/a.tts")
    assert _codes(main) == []
    shipped = library.find("majority")
    assert _codes(_importing(project, str(shipped))) == []


def test_a_prompt_shows_columns_that_the_importing_file_makes(tmp_path: Path) -> None:
    asks = (
        'import "prompts.tts"\n\nstrategy main():\n    p = sample 2\n{}'
        "    p = ask moody about p\n    return best of p by logprob\n"
    )
    prompts = 'prompt moody = """{mood} {text}"""\n\nstrategy other():\n    return sample 1\n'
    makes = asks.format("    let mood of p = tokens\n")
    assert _codes(_write(tmp_path, prompts=prompts, main=makes)) == []
    (lacks,) = check_path(_write(tmp_path, main=asks.format(""))).diagnostics
    assert lacks.code == "TTS217"
    assert "`let mood of p = ...`" in str(lacks.suggestion)


def test_a_file_is_checked_again_when_an_import_has_changed(tmp_path: Path) -> None:
    main = _write(tmp_path, main='import "a.tts"\n\nstrategy main():\n    return a()\n')
    assert _codes(main) == ["TTS551"]
    _write(tmp_path, a=ONE.format(name="a"))
    assert _codes(main) == []
    _write(tmp_path, a='import "b.tts"\n\nstrategy a():\n    return b()\n', b=ONE.format(name="b"))
    assert _codes(main) == []
    _write(tmp_path, b=ONE.format(name="c"))
    assert _codes(main) == ["TTS201"]
    _write(tmp_path, b="strategy b():\n    return sample 1\n")
    assert _codes(main) == []
    (tmp_path / "b.tts").unlink()
    assert "TTS551" in _codes(main)
