"""Quick fixes of the corpus of mistakes: `python -m tests.support.fixes` prints the figures of
docs/editors.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.support.mistakes import Mistake, corpus
from tts_lang.compiler import check_source, helped
from tts_lang.diagnostics import Diagnostic
from tts_lang.lsp.findings import quick_fix
from tts_lang.source import Source


def errors(source: Source) -> Sequence[Diagnostic]:
    """What is wrong with a text, warnings left out."""
    return [each for each in check_source(source).diagnostics if each.is_error]


def fixed(mistake: Mistake) -> Source | None:
    """A file of the corpus after the quick fix of its first error, if there is one."""
    source = Source.of(mistake.text, "mistake.tts")
    first = next(each for each in helped(check_source(source).diagnostics) if each.is_error)
    found = quick_fix(first, errors)
    if found is None:
        return None
    span, text = found
    return Source.of(source.text[: span.start] + text + source.text[span.end :], source.name)


def figures(mistakes: Iterable[Mistake]) -> Counter[str]:
    """How many files have an error, get a quick fix, and have no error after it."""
    counts: Counter[str] = Counter()
    for mistake in mistakes:
        if errors(Source.of(mistake.text, "mistake.tts")):
            after = fixed(mistake)
            counts["wrong"] += 1
            counts["fixed"] += after is not None
            counts["right"] += after is not None and not errors(after)
    return counts


if __name__ == "__main__":
    print(figures(corpus()))
