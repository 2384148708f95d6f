"""The saved parser: used where it can be trusted, else built again, and never a message."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lark import Lark, Token

from tts_lang.syntax import grammar

ROOT = Path(__file__).resolve().parents[2]
SMALL = "%declare A B\nstart: pair*\npair: A B\n"

unix = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes of files")


class Cache:
    """A cache directory, and how often a parser was built for want of a saved one."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "tts-lang"
        self.built = 0

    @property
    def file(self) -> Path:
        (file,) = self.folder.iterdir()
        return file

    def load(self, text: str = SMALL) -> int:
        """Load as a new process would; how often the parser was built. It works in any case."""
        before = self.built
        parser = grammar.load(text).parse_interactive()
        for kind in ("A", "B", "A", "B"):
            parser.feed_token(Token(kind, kind.lower(), start_pos=0, end_pos=1))
        tree = parser.feed_token(Token("$END", ""))
        assert [pair.children for pair in tree.children] == [["a", "b"]] * 2
        return self.built - before


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """The only place where parsers can be kept."""
    made = Cache(tmp_path / "cache")
    build = grammar.build

    def counted(text: str) -> Lark:
        made.built += 1
        return build(text)

    monkeypatch.setattr(grammar, "build", counted)
    monkeypatch.setattr(grammar, "_cache_folders", lambda: iter([made.folder]))
    return made


def test_the_second_start_loads_what_the_first_saved(cache: Cache) -> None:
    assert [cache.load(), cache.load(), cache.load()] == [1, 0, 0]


@unix
def test_what_is_saved_belongs_to_the_user_alone(cache: Cache) -> None:
    cache.load()
    assert [path.stat().st_mode & 0o777 for path in (cache.folder, cache.file)] == [0o700, 0o600]


def test_another_grammar_is_another_file(cache: Cache) -> None:
    cache.load()
    assert cache.load(SMALL + "// changed\n") == 1
    assert [cache.load(), cache.load(SMALL + "// changed\n")] == [0, 0]


def test_old_files_are_removed(cache: Cache) -> None:
    for number in range(20):
        cache.load(f"{SMALL}// {number}\n")
    assert len(list(cache.folder.iterdir())) < 10
    assert cache.load(f"{SMALL}// 19\n") == 0


def signed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest() + data


class Harmful:
    """Something that would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm-done",)


def flipped(content: bytes) -> bytes:
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: content[:0],
    "cut": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "one bit": flipped,
    "zeros": lambda content: bytes(len(content)),
}
FOREIGN = {
    "a text": b"not a pickle at all, but a text of more than thirty-two bytes",
    "no pickle": signed(b"no pickle"),
    "nothing": signed(b""),
    "a list": signed(pickle.dumps([])),
    "no parser": signed(pickle.dumps({"data": {}, "memo": {}})),
    "other fields": signed(pickle.dumps({"data": {"options": 1}, "memo": {0: {}}})),
    "code": signed(pickle.dumps(Harmful())),
    "code inside": signed(pickle.dumps({"data": Harmful(), "memo": Harmful()})),
}


@pytest.mark.parametrize("damage", [*DAMAGED, *FOREIGN])
def test_a_damaged_file_is_replaced(
    cache: Cache, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache.load()
    content = cache.file.read_bytes()
    content = DAMAGED[damage](content) if damage in DAMAGED else FOREIGN[damage]
    cache.file.write_bytes(content)
    assert [cache.load(), cache.load()] == [1, 0]
    assert not Path("harm-done").exists()


@unix
@pytest.mark.parametrize("mode", [0o622, 0o660, 0o666])
def test_a_file_that_others_can_write_is_not_read(cache: Cache, mode: int) -> None:
    cache.load()
    cache.file.chmod(mode)
    assert [cache.load(), cache.load()] == [1, 0]


@unix
@pytest.mark.parametrize("mode", [0o722, 0o770, 0o777])
def test_nothing_is_written_where_others_can_write(cache: Cache, mode: int) -> None:
    cache.folder.mkdir(parents=True)
    cache.folder.chmod(mode)
    assert [cache.load(), cache.load()] == [1, 1]
    assert not list(cache.folder.iterdir())


@unix
@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_not_used(
    cache: Cache, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "file":
        cache.load()
    else:
        cache.folder.mkdir(parents=True)
    before = list(cache.folder.iterdir())
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert [cache.load(), cache.load()] == [1, 1]
    assert list(cache.folder.iterdir()) == before


@unix
def test_links_and_pipes_are_not_followed(cache: Cache, tmp_path: Path) -> None:
    cache.load()
    cache.file.rename(tmp_path / "elsewhere")
    cache.load()
    file = cache.file
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert [cache.load(), cache.load()] == [1, 0]
    file.unlink()
    os.mkfifo(file)
    assert [cache.load(), cache.load()] == [1, 0]
    file.unlink()
    file.mkdir()
    assert [cache.load(), cache.load()] == [1, 1]


def test_a_file_in_place_of_the_folder(cache: Cache) -> None:
    cache.folder.parent.mkdir(parents=True)
    cache.folder.write_text("")
    assert [cache.load(), cache.load()] == [1, 1]


def test_a_full_or_read_only_disk(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    assert [cache.load(), cache.load()] == [1, 1]
    assert not list(cache.folder.iterdir())


def test_many_at_once_leave_one_good_file(cache: Cache) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.load(), range(40)))
    assert cache.load() == 0
    assert cache.file.suffix == ".pickle"


@pytest.mark.parametrize(
    "variables",
    [
        {"XDG_CACHE_HOME": "cache"},
        {"XDG_CACHE_HOME": "", "HOME": "home"},
        {"XDG_CACHE_HOME": "relative/path", "HOME": "/proc", "TMPDIR": "tmp"},
        {"XDG_CACHE_HOME": "/proc/none", "HOME": "/proc/none", "TMPDIR": "tmp"},
        {"XDG_CACHE_HOME": "/dev/null", "HOME": "/dev/null", "TMPDIR": "/dev/null"},
    ],
)
@unix
def test_any_environment_compiles(variables: dict[str, str], tmp_path: Path) -> None:
    made = {name: str(tmp_path / name) for name in ("cache", "home", "tmp")}
    for folder in made.values():
        Path(folder).mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": made["tmp"]}
    environment |= {name: made.get(value, value) for name, value in variables.items()}
    code = (
        "import sys; from tts_lang.syntax import grammar; small = grammar.load(sys.argv[1]);"
        "print(small.rules[0].origin)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, SMALL],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "relative").exists()
    wanted = {"cache", "home", "tmp"} & set(variables.values())
    for name in sorted(wanted)[:1]:
        assert list(Path(made[name]).rglob("*.pickle"))
