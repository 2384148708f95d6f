"""The corpus of mistakes in tests/fixtures/mistakes, and what the compiler makes of each.

`python -m tests.support.mistakes [--show KIND]` prints the figures of docs/diagnostics.md; KIND is
`line`, `many`, `none` or `wrong`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tts_lang.compiler import check_source
from tts_lang.diagnostics import Diagnostic
from tts_lang.repair import meant, repaired
from tts_lang.source import Source

CORPUS = Path(__file__).resolve().parents[1] / "fixtures/mistakes"


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

        found = repaired(check(Source.of(self.text, "mistake.tts")), check)
        return [each for each in found if each.is_error] or list(found)


def corpus() -> Iterator[Mistake]:
    """The mistakes in strategy files."""
    contexts: dict[str, list[str]] = {}
    context: list[str] | None = None
    name = ""
    text = (CORPUS / "strategies.txt").read_text("utf-8")
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


def main(show: str) -> None:
    """Prints the figures, and the mistakes of one kind."""
    judged = [Judged(each, each.errors()) for each in corpus()]
    counts = Counter[str]()
    for each in judged:
        counts["wrong"] += each.wrong
        counts["line"] += not each.right_line
        counts["many"] += len(each.errors) > 1
        counts["none"] += not each.help and not each.works
        counts["accepted"] += not each.found
        counts["works"] += each.works
    total = len(judged)
    print(f"{total} mistakes")
    print(
        f"right line {1 - counts['line'] / total:.1%}, one report {1 - counts['many'] / total:.1%}"
    )
    print(
        f"help that works {counts['works'] / total:.1%}, another help {counts['wrong'] / total:.1%}"
    )
    print(dict(counts))
    for each in judged:
        kinds = {
            "wrong": each.wrong,
            "line": not each.right_line,
            "many": len(each.errors) > 1,
            "none": each.found and not each.help and not each.works,
            "accepted": not each.found,
        }
        if kinds.get(show):
            print(f"{each.mistake.number}: {each.mistake.typed}   WANTS {each.mistake.helps}")
            for error in each.errors[:3]:
                line = error.source.position(error.span.start).line
                place = f"{error.code}@{line - each.mistake.line:+d}"
                print(f"      {place} {error.message} -> {error.suggestion}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
