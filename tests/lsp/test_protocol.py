"""The language server as an editor sees it: a process, asked by pytest-lsp's client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from tests.docs.blocks import ROOT
from tests.support.lsp_session import EditorSession
from tts_lang.lsp.command import main
from tts_lang.lsp.project import EditorFiles

STRATEGY = '''strategy few(n = 4):
    """Take the best of a few."""
    pool = sample n
    score pool by prm
    return best of pool by last(prm)
'''


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EditorSession]:
    session = EditorSession(tmp_path_factory.mktemp("workspace"))
    yield session
    assert session.close() == 0


# ------------------------------------------------------------------------------ diagnostics


def test_errors_as_one_types(editor: EditorSession) -> None:
    assert editor.open("typed.tts", STRATEGY) == []
    (found,) = editor.open("typed.tts", STRATEGY.replace("of pool", "of pol"))
    assert found.code == "TTS201"
    assert found.severity is lsp.DiagnosticSeverity.Error
    assert found.message == "nothing is called `pol` here\nhelp: did you mean 'pool'?"
    assert found.range == lsp.Range(lsp.Position(4, 19), lsp.Position(4, 22))
    assert found.code_description is not None
    page, anchor = found.code_description.href.split("#")
    assert page.endswith("/diagnostics/")
    assert f'<a id="{anchor}"></a>TTS201' in (ROOT / "docs" / "diagnostics.md").read_text("utf-8")
    assert editor.open("typed.tts", STRATEGY) == []


def test_places_are_counted_in_utf16(editor: EditorSession) -> None:
    text = 'strategy s():\n    pool = sample 1\n    force "🦉🦉é" into pol\n    return pool\n'
    (found,) = editor.open("owl.tts", text)
    # Each owl is two units: the name begins at column 21 of the text, at 23 of the protocol.
    assert found.range == lsp.Range(lsp.Position(2, 23), lsp.Position(2, 26))
    marked = text.replace("into pol", "into pool‸")
    assert editor.hover("owl.tts", marked) == "a variable of `s`"
    assert editor.rename("owl.tts", marked, "trace")["owl.tts"] == marked.replace("‸", "").replace(
        "pool", "trace"
    )


def test_errors_of_an_import_stand_at_the_import(editor: EditorSession) -> None:
    editor.write("lib/inner.tts", "strategy inner():\n    return sampel 1\n")
    text = 'import "lib/inner.tts"\n\nstrategy s():\n    return inner()\n'
    (found,) = editor.open("outer.tts", text)
    assert found.range.start == lsp.Position(0, 7)
    assert "line 2" in found.message
    (related,) = found.related_information or ()
    assert related.location.uri == editor.uri("lib/inner.tts")
    # The import is open and mended there, though not saved: its importer is checked again.
    editor.open("lib/inner.tts", "strategy inner():\n    return sample 1\n")
    editor.wait_until_clean("outer.tts")
    editor.close_document("lib/inner.tts")


def test_an_import_that_is_closed_unsaved_is_that_of_the_disk(editor: EditorSession) -> None:
    editor.write("lib/saved.tts", "strategy inner():\n    return sample 1\n")
    editor.open("lib/saved.tts", "strategy inner():\n    return sampel 1\n")
    text = 'import "lib/saved.tts"\n\nstrategy s():\n    return inner()\n'
    assert len(editor.open("importer.tts", text)) == 1
    editor.close_document("lib/saved.tts")
    editor.wait_until_clean("importer.tts")


def test_a_file_that_is_not_saved_yet_is_imported(editor: EditorSession) -> None:
    text = 'import "lib/new.tts"\n\nstrategy s():\n    return inner()\n'
    (found,) = editor.open("early.tts", text)
    assert found.code == "TTS551"
    editor.open("lib/new.tts", "strategy inner():\n    return sample 1\n")
    editor.wait_until_clean("early.tts")
    place = [(editor.uri("lib/new.tts"), 0)]
    assert editor.definition("early.tts", text.replace("inner()", "inn‸er()")) == place
    assert editor.definition("early.tts", text.replace("new", "n‸ew")) == place
    editor.close_document("lib/new.tts")
    assert [each.code for each in editor.open("early.tts", f"{text}\n")] == ["TTS551"]


def test_what_is_never_used_is_faded(editor: EditorSession) -> None:
    (found,) = editor.open(
        "unused.tts", STRATEGY.replace("score pool", "spare = sample 1\n    score pool")
    )
    assert found.code == "TTS902"
    assert found.severity is lsp.DiagnosticSeverity.Warning
    assert list(found.tags or ()) == [lsp.DiagnosticTag.Unnecessary]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("score pol by prm", "score pool by prm"),
        ("score pool using prm", "score pool by prm"),
        ("scroe pool by prm", "score pool by prm"),
    ],
)
def test_a_help_is_a_quick_fix(editor: EditorSession, wrong: str, right: str) -> None:
    text = STRATEGY.replace("score pool by prm", wrong)
    ((title, after),) = editor.fixes("fix.tts", text)
    assert title == "Write `score pool by prm`"
    assert after == STRATEGY.replace("score pool by prm", right)


def test_a_fix_of_two_lines_writes_both(editor: EditorSession) -> None:
    text = STRATEGY.replace("score pool by prm", "score pool by prm; other = pool")
    ((_, after),) = editor.fixes("two.tts", text)
    assert after == STRATEGY.replace("score pool by prm", "score pool by prm\n    other = pool")


@pytest.mark.parametrize("spare", ["sample 1", "sample 1  # one", "2  # two\n        * 3"])
def test_what_is_never_used_is_removed_with_all_its_lines(
    editor: EditorSession, spare: str
) -> None:
    text = STRATEGY.replace("score pool", f"spare = {spare}\n    score pool")
    ((_, after),) = editor.fixes("spare.tts", text)
    assert after == STRATEGY


def test_a_missing_import_is_a_quick_fix(editor: EditorSession) -> None:
    text = "strategy s():\n    return majority(n = 4)\n"
    ((title, after),) = editor.fixes("import.tts", text)
    assert title == 'Add `import "majority.tts"`'
    assert after == f'import "majority.tts"\n{text}'


def test_a_help_that_is_no_replacement_is_no_quick_fix(editor: EditorSession) -> None:
    assert editor.fixes("nofix.tts", "strategy s():\n    return p where\n") == []


# ------------------------------------------------------------------------------ hover


def test_hover_of_a_strategy_has_its_cost_bound(editor: EditorSession) -> None:
    shown = editor.hover("hover.tts", STRATEGY.replace("few", "fe‸w", 1))
    assert shown is not None
    assert "strategy few(n = 4)" in shown
    assert "Take the best of a few." in shown
    assert "`few(n = 4)`" in shown
    assert "- 4 policy calls\n- 4,096 sampled tokens\n- 4 scorer calls" in shown


@pytest.mark.parametrize("argument", ["n = 3", "k"])
def test_hover_of_a_call_has_the_bound_of_that_call(editor: EditorSession, argument: str) -> None:
    text = f'import "majority.tts"\n\nstrategy s(k = 3):\n    return major‸ity({argument})\n'
    shown = editor.hover("call.tts", text)
    assert shown is not None
    assert "Wang et al." in shown
    assert "`majority(n = 3" in shown
    assert "- 3 policy calls" in shown
    assert "computed" not in shown


def test_hover_of_a_call_with_computed_arguments_says_so(editor: EditorSession) -> None:
    text = 'import "majority.tts"\n\nstrategy s(k = 3):\n    return major‸ity(k * 2)\n'
    shown = editor.hover("call.tts", text)
    assert shown is not None
    assert "`majority(n = 16" in shown
    assert "these are the costs at the defaults" in shown


def test_hover_of_one_sample_speaks_of_one_call(editor: EditorSession) -> None:
    shown = editor.hover("one.tts", "strategy one‸():\n    return first of (sample 1)\n")
    assert shown is not None
    assert "- 1 policy call\n" in shown
    assert "\n1 call is limited by the context window alone." in shown


def test_hover_of_a_strategy_with_errors_has_no_bound(editor: EditorSession) -> None:
    shown = editor.hover("broken.tts", "strategy s‸():\n    return vote nothing\n")
    assert shown is not None
    assert "does not compile" in shown


@pytest.mark.parametrize(
    ("marked", "part"),
    [
        ("sco‸re pool by prm", "score P by S"),
        ("x = vo‸te pool", "equal answers add up 1 or E"),
        ("x = best of pool by tok‸ens", "sampled tokens on the path"),
        ("x = best of pool by la‸st(prm)", "the last step's score"),
        ("x = best of pool by prm‸", "scorer prm per step"),
        ("x = first 2 of pool by n‸", "a parameter of `s`"),
        ("x = sample 1 at temp‸erature 0", "temperature of sampling"),
    ],
)
def test_hover_of_words(editor: EditorSession, marked: str, part: str) -> None:
    text = f"strategy s(n = 2):\n    pool = sample n\n    {marked}\n    return pool\n"
    shown = editor.hover("words.tts", text.replace(" by n‸", " where n‸ > 1"))
    assert shown is not None
    assert part in shown


# ------------------------------------------------------------------------------ completion


@pytest.mark.parametrize(
    ("marked", "offered", "not_offered"),
    [
        ("    ‸", {"score", "force", "let", "repeat", "return", "pool"}, {"vote", "strategy"}),
        ("    x = ‸", {"sample", "vote", "best", "pool", "majority", "fresh"}, {"score", "by"}),
        ("    x = vote pool ‸", {"weighted", "on", "per", "where"}, {"by", "top_p"}),
        ("    x = sample 4 ‸", {"at", "max", "within", "steps", "likeliest"}, {"weighted"}),
        ("    x = sample 4 at ‸", {"temperature", "least"}, {"max", "pool"}),
        ("    score pool by ‸", {"prm", "grade"}, {"tokens", "pool", "sample"}),
        ("    x = ask ‸", {"hint"}, {"prm", "pool"}),
        ("    x = vote pool on ‸", {"answer", "root", "seen"}, {"pool", "last"}),
        ("    x = best of pool by ‸", {"tokens", "prm", "last", "n"}, {"sample"}),
        ("    x = majority(‸", {"n = "}, set()),
        ("    x = sample 1 from ‸", {"small", "policy"}, {"prm"}),
        ("    repeat 3:\n        x = expand pool ‸", {"by", "to"}, {"of"}),
        ("    if lead(pool) > 1:\n        return pool\n    else‸", {"else"}, set()),
        ("‸", {"strategy", "import", "policy", "law"}, {"score", "pool"}),
    ],
)
def test_completion(
    editor: EditorSession, marked: str, offered: set[str], not_offered: set[str]
) -> None:
    text = (
        'import "majority.tts"\n\npolicy small\nprompt hint = "{problem} Hint?"\n'
        'judge grade:\n    "{problem} {text}"\n    read number from 0 to 10\n\n'
        "strategy s(n = 2):\n    pool = sample n\n    let seen of pool = 1\n"
    )
    found = editor.completions("complete.tts", text + marked)
    assert offered <= found.keys()
    assert not not_offered & found.keys()


def test_completion_replaces_what_is_typed(editor: EditorSession) -> None:
    found = editor.completions("typing.tts", "strategy s():\n    x = sam‸")
    edit = found["sample"].text_edit
    assert isinstance(edit, lsp.TextEdit)
    assert edit.range == lsp.Range(lsp.Position(1, 8), lsp.Position(1, 11))


def test_completion_in_texts(editor: EditorSession) -> None:
    editor.write("lib/helper.tts", STRATEGY)
    files = editor.completions("in_text.tts", 'import "‸')
    assert {"lib/helper.tts", "majority.tts"} <= files.keys()
    slots = editor.completions("in_text.tts", 'prompt p(limit) = """Solve {‸')
    assert {"problem", "limit", "answer"} <= slots.keys()
    assert editor.completions("in_text.tts", "# a comment ‸") == {}
    assert editor.completions("in_text.tts", 'strategy s():\n    force "Wait ‸') == {}


# ------------------------------------------------------------------------------ names


USER = 'import "lib/few.tts"\n\nstrategy user():\n    return few(n = 2) # few\n'


def test_definition_across_imports(editor: EditorSession) -> None:
    editor.write("lib/few.tts", STRATEGY)
    called = editor.definition("user.tts", USER.replace("return few", "return f‸ew"))
    assert called == [(editor.uri("lib/few.tts"), 0)]
    argument = editor.definition("user.tts", USER.replace("(n =", "(n‸ ="))
    assert argument == [(editor.uri("lib/few.tts"), 0)]
    file = editor.definition("user.tts", USER.replace("lib/", "lib‸/"))
    assert file == [(editor.uri("lib/few.tts"), 0)]
    shipped = editor.definition("shipped.tts", 'import "major‸ity.tts"\n')
    assert shipped[0][0].endswith("/strategies/majority.tts")
    local = editor.definition("local.tts", STRATEGY.replace("of pool", "of po‸ol"))
    assert local == [(editor.uri("local.tts"), 2)]


def test_rename_reaches_importers(editor: EditorSession) -> None:
    editor.write("lib/few.tts", STRATEGY)
    editor.write("user.tts", USER)
    editor.close_document("user.tts")  # it is read from the disk
    for marked in (STRATEGY.replace("few", "fe‸w", 1), STRATEGY.replace("few", "few‸", 1)):
        assert editor.rename("lib/few.tts", marked, "several") == {
            "lib/few.tts": STRATEGY.replace("few", "several", 1),
            "user.tts": USER.replace("return few", "return several"),
        }
    parameter = editor.rename("lib/few.tts", STRATEGY.replace("n = 4", "n‸ = 4"), "size")
    assert parameter["user.tts"] == USER.replace("(n =", "(size =")
    assert parameter["lib/few.tts"] == STRATEGY.replace("(n =", "(size =").replace(
        "sample n", "sample size"
    )
    assert editor.references("lib/few.tts", STRATEGY.replace("few", "fe‸w", 1)) == 2


def test_files_have_the_addresses_that_the_editor_gives_them(tmp_path: Path) -> None:
    """A workspace that is a link: its files are none of another folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    editor = EditorSession(tmp_path / "link")
    try:
        editor.write("lib/few.tts", STRATEGY)
        editor.write("closed.tts", USER)
        called = USER.replace("return few", "return f‸ew")
        assert editor.definition("user.tts", called) == [(editor.uri("lib/few.tts"), 0)]
        editor.open("lib/few.tts", STRATEGY)
        assert editor.definition("user.tts", called) == [(editor.uri("lib/few.tts"), 0)]
        after = editor.rename("user.tts", called, "several")
        assert after.keys() == {"user.tts", "closed.tts", "lib/few.tts"}
    finally:
        editor.close()


def test_open_files_keep_their_addresses(tmp_path: Path) -> None:
    strange = {"a-b.tts": "file:///a%2Db.tts", "Untitled-1": "untitled:Untitled-1"}
    addresses = {Path(tmp_path, name): uri for name, uri in strange.items()}
    files = EditorFiles({}, addresses=addresses)
    assert [files.uri(path) for path in addresses] == list(strange.values())


def test_rename_of_a_column_reaches_prompts(editor: EditorSession) -> None:
    text = (
        'prompt again = "{problem} {said} {field.said}"\n\n'
        "strategy s():\n    pool = sample 1\n    let said of pool = answer\n"
        "    return ask again about (pool where has(said))\n"
    )
    marked = text.replace("let said", "let sa‸id")
    assert editor.prepare_rename("column.tts", marked) == "said"
    after = editor.rename("column.tts", marked, "heard")["column.tts"]
    assert after == (
        text.replace("{said}", "{heard}")
        .replace("let said", "let heard")
        .replace("has(said)", "has(heard)")
    )


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("vote", "a word of the language"),
        ("2b", "no name"),
        ("tokens", "a column that every candidate has"),
        ("n", "already a parameter"),
    ],
)
def test_names_that_cannot_be_given(editor: EditorSession, new: str, why: str) -> None:
    with pytest.raises(JsonRpcException, match=why):
        editor.rename("refused.tts", STRATEGY.replace("pool =", "po‸ol ="), new)


@pytest.mark.parametrize("marked", ["strategy s():\n    return sam‸ple 2\n", "# a com‸ment\n"])
def test_what_cannot_be_renamed(editor: EditorSession, marked: str) -> None:
    with pytest.raises(JsonRpcException, match="nothing here"):
        editor.prepare_rename("refused.tts", marked)


def test_shipped_names_are_not_renamed(editor: EditorSession) -> None:
    text = 'import "majority.tts"\n\nstrategy s():\n    return major‸ity()\n'
    with pytest.raises(JsonRpcException, match="a file of the package"):
        editor.rename("ship.tts", text, "most")


# ------------------------------------------------------------------------------ files


def test_outline(editor: EditorSession) -> None:
    text = f"policy small\n\n{STRATEGY}\nlaw few(n = 1) == few(n = 1)\n"
    found = editor.symbols("outline.tts", text)
    assert [each.name for each in found] == ["small", "few", "law few(n = 1) == few(n = 1)"]
    assert found[1].detail == "(n = 4)"
    assert [each.name for each in found[1].children or ()] == ["n"]
    assert found[1].range.start.line == 2
    assert found[1].range.end.line >= 6


def test_formatting(editor: EditorSession) -> None:
    assert editor.format("form.tts", STRATEGY.replace(" = ", "=")) == STRATEGY
    assert editor.format("form.tts", STRATEGY) == STRATEGY
    broken = "strategy s(:\n  return   x\n"
    assert editor.format("form.tts", broken) == broken


def test_other_line_ends_and_a_byte_order_mark(editor: EditorSession) -> None:
    text = "\ufeff" + STRATEGY.replace("of pool", "of pol").replace("\n", "\r\n")
    (found,) = editor.open("crlf.tts", text)
    assert found.range == lsp.Range(lsp.Position(4, 19), lsp.Position(4, 22))


@pytest.mark.parametrize("text", ["\x00\x01((((", '"""' * 7, "x" * 200_000, "é\u2028\x0b"], ids=len)
def test_the_server_survives_what_it_is_sent(editor: EditorSession, text: str) -> None:
    editor.open("bad.tts", text)
    editor.hover("bad.tts", text + "‸")
    editor.completions("bad.tts", text + "‸")
    editor.symbols("bad.tts", text)
    editor.format("bad.tts", text)
    assert editor.open("bad.tts", STRATEGY) == []
    assert editor.client.messages == []


# ------------------------------------------------------------------------------ the command


def test_help_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "Language Server" in capsys.readouterr().out


def test_without_pygls_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pygls", None)
    assert main([]) == 2
    assert capsys.readouterr().err == "tts-lsp needs pygls: pip install 'tts-lang[lsp]'\n"
