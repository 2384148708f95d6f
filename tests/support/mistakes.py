"""The corpus of mistakes in tests/fixtures/mistakes, and what the compiler makes of each.

`python -m tests.support.mistakes [FILE...] [KIND]` prints the figures of docs/language.md, and the
mistakes of a kind: `line`, `many`, `none`, `wrong`, `accepted` or `works`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tts_lang.compiler import check_source, plan_of
from tts_lang.diagnostics import Diagnostic
from tts_lang.repair import meant, repaired
from tts_lang.source import Source

CORPUS = Path(__file__).resolve().parents[1] / "fixtures/mistakes"
SETS = ("strategies", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True)
class Mistake:
    """What is typed in place of HERE in a file, and what a help that works contains one of.

    The wrong line is marked by `@`, else it is the first; `number` is that of the corpus.
    """

    number: int
    context: str
    typed: str
    helps: tuple[str, ...]

    @cached_property
    def _parts(self) -> tuple[str, int]:
        indent, before, after = "", "", ""
        for place, line in enumerate(self.context.splitlines(keepends=True)):
            if line.strip() == "HERE":
                indent = line[: len(line) - len(line.lstrip())]
                lines = self.context.splitlines(keepends=True)
                before, after = "".join(lines[:place]), "".join(lines[place + 1 :])
        typed = self.typed.replace("\\n", "\n") if "\\n" in self.typed else self.typed
        lines = typed.split("\n")
        marked = next((at for at, line in enumerate(lines) if "@" in line[:12]), 0)
        lines = [re.sub(r"^( *)@", r"\1", line) for line in lines]
        text = "\n".join(indent + line if line else line for line in lines)
        return f"{before}{text}\n{after}", before.count("\n") + 1 + marked

    @property
    def text(self) -> str:
        """The whole file."""
        return self._parts[0]

    @property
    def line(self) -> int:
        """The line that is wrong, from 1."""
        return self._parts[1]

    def errors(self) -> list[Diagnostic]:
        """What the compiler reports."""

        def check(source: Source) -> Sequence[Diagnostic]:
            return check_source(source).diagnostics

        found = repaired(check(Source.of(self.text, "mistake.tts")), check, plan_of)
        return [each for each in found if each.is_error] or list(found)


def corpus(*names: str) -> Iterator[Mistake]:
    """The mistakes of some files of the corpus, or of all."""
    contexts: dict[str, list[str]] = {}
    for name in SETS:
        found = _mistakes(name, contexts)
        yield from (each for each in found if not names or name in names)


def _mistakes(file: str, contexts: dict[str, list[str]]) -> Iterator[Mistake]:
    """The mistakes of a file; contexts stand in the first one."""
    context: list[str] | None = None
    name = ""
    text = (CORPUS / f"{file}.txt").read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("[context "):
            context = contexts.setdefault(line[9:-1], [])
        elif line.startswith("["):
            context, name = None, line[1:-1]
        elif line.startswith("#") and context is not None and not context:
            continue
        elif context is not None and not line.startswith("# ---"):
            context.append(line)
        elif " =>" in line and not line.startswith("#"):
            typed, _, helps = line.rpartition(" =>")
            options = tuple(part.strip() for part in helps.split(" | ") if part.strip())
            whole = "\n".join(contexts[name]).rstrip("\n") + "\n"
            yield Mistake(number, whole, typed, options)


def plain(text: str) -> str:
    """A text without quotes of code and runs of blanks, to look for fragments in."""
    return " ".join(re.sub(r"[`]", " ", text).split())


@dataclass(frozen=True)
class Judged:
    """How a mistake is answered."""

    mistake: Mistake
    errors: Sequence[Diagnostic]

    @property
    def found(self) -> bool:
        """Something is reported at all."""
        return bool(self.errors)

    @property
    def right_line(self) -> bool:
        """The first report is on the line that is wrong."""
        if not self.errors:
            return False
        first = self.errors[0]
        return first.source.position(first.span.start).line == self.mistake.line

    @property
    def one(self) -> bool:
        """One report."""
        return len(self.errors) == 1

    @property
    def help(self) -> str:
        """The help of the first report."""
        return (self.errors[0].suggestion or "") if self.errors else ""

    @property
    def said(self) -> str:
        """Everything that the first report says, in plain letters."""
        if not self.errors:
            return ""
        first = self.errors[0]
        return plain(" ".join([first.message, self.help, *first.expected, *first.notes]))

    @property
    def works(self) -> bool:
        """It says what would have helped."""
        said = plain(f"{self.said} {self._applied}").lower()
        return any(plain(option).lower() in said for option in self.mistake.helps)

    @property
    def _applied(self) -> str:
        """The line as a `did you mean` has it."""
        if not self.errors:
            return ""
        first = self.errors[0]
        start = first.source.text.rfind("\n", 0, first.span.start) + 1
        line = first.source.text[start:].partition("\n")[0]
        return meant(first, line, start) or ""

    @property
    def wrong(self) -> bool:
        """It suggests something else."""
        return bool(self.help) and not self.works

    @property
    def kinds(self) -> dict[str, bool]:
        """What there is to say about it."""
        return {
            "wrong": self.wrong,
            "line": not self.right_line,
            "many": len(self.errors) > 1,
            "none": self.found and not self.help and not self.works,
            "accepted": not self.found,
            "works": self.works,
        }


def figures(judged: Sequence[Judged]) -> Counter[str]:
    """How many there are of each kind."""
    counts = Counter[str]({"wrong": 0, "line": 0, "many": 0, "none": 0, "accepted": 0, "works": 0})
    for each in judged:
        counts.update(kind for kind, is_so in each.kinds.items() if is_so)
    return counts


def main(names: Sequence[str], show: str) -> None:
    """Prints the figures of each file, and the mistakes of one kind."""
    for name in names:
        judged = [Judged(each, each.errors()) for each in corpus(name)]
        counts, total = figures(judged), len(judged)
        print(
            f"{name}: {total} mistakes, right line {1 - counts['line'] / total:.1%}, one report "
            f"{1 - counts['many'] / total:.1%}, help that works {counts['works'] / total:.1%}, "
            f"another help {counts['wrong'] / total:.1%} ({dict(counts)})"
        )
        for each in judged:
            if each.kinds.get(show):
                print(f"{each.mistake.number}: {each.mistake.typed}   WANTS {each.mistake.helps}")
                for error in each.errors[:3]:
                    line = error.source.position(error.span.start).line
                    place = f"{error.code}@{line - each.mistake.line:+d}"
                    print(f"      {place} {error.message} -> {error.suggestion}")


if __name__ == "__main__":
    chosen = [each for each in sys.argv[1:] if each in SETS]
    main(chosen or SETS, next((each for each in sys.argv[1:] if each not in SETS), ""))
