"""Other names for things, in every file that uses them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tts_lang.check import builtins
from tts_lang.check.scope import FileScope
from tts_lang.compiler import check_source
from tts_lang.diagnostics import Diagnostic
from tts_lang.lsp.project import EditorFiles, is_shipped
from tts_lang.lsp.symbols import NamedThing, Occurrence, SymbolKind, at, occurrences, reach
from tts_lang.source import Source, Span
from tts_lang.syntax.parser import parse
from tts_lang.syntax.words import HARD_WORDS, is_name


class RenameError(ValueError):
    """Why a thing cannot be renamed: for the user."""


def thing_at(files: EditorFiles, source: Source, offset: int) -> Occurrence:
    """The renamable thing at an offset.

    Raises:
        RenameError: No thing with a name of the user's, or one that is shipped with the package.
    """
    occurrence = at(occurrences(files.scope(source)), offset)
    if occurrence is None:
        raise RenameError("nothing here has a name that could change")
    if occurrence.thing.home and is_shipped(occurrence.thing.home):
        raise RenameError(f"`{occurrence.thing.name}` is declared in a file of the package")
    return occurrence


def everywhere(
    files: EditorFiles, source: Source, thing: NamedThing
) -> dict[Source, list[Occurrence]]:
    """All places where a thing is named: in this file, its imports, and their importers."""
    scopes = {os.path.realpath(each.source.name): each for each in reach(files.scope(source))}
    if not thing.within or thing.kind is SymbolKind.PARAMETER:
        for path in files.all_paths():
            if str(path) not in scopes:
                scope = files.scope(files.source(path))
                homes = {os.path.realpath(each.source.name) for each in reach(scope)}
                if homes & _involved(thing, scopes):
                    scopes[str(path)] = scope
    places_of = {}
    for scope in scopes.values():
        places = [each for each in occurrences(scope) if each.thing == thing]
        if places:
            places_of[scope.source] = places
    return places_of


def _involved(thing: NamedThing, scopes: Mapping[str, FileScope]) -> set[str]:
    """The files that a file must reach to use a thing: columns go wherever their pools do."""
    return {thing.home} if thing.home else set(scopes)


def renamed(files: EditorFiles, source: Source, offset: int, new: str) -> dict[Source, list[Span]]:
    """The places to write a new name in, by file.

    Raises:
        RenameError: The name is no name or taken, a file has syntax errors (uses in it could be
            overlooked), or the files would have errors afterwards that they do not have now.
    """
    thing = thing_at(files, source, offset).thing
    if new == thing.name:
        return {}
    if not is_name(new):
        what = "a word of the language" if new in HARD_WORDS else "no name: letters, digits and _"
        raise RenameError(f"`{new}` is {what}")
    if (meaning := builtins.meaning(new)) is not None:
        raise RenameError(f"`{new}` is {meaning}")
    by_file = everywhere(files, source, thing)
    for file in by_file:
        if is_shipped(os.path.realpath(file.name)):
            raise RenameError(f"`{thing.name}` is used in a file of the package, {file.name}")
        if not parse(file).ok:
            name = Path(file.name).name
            raise RenameError(f"{name} has syntax errors: uses in it could be overlooked")
    _refuse_clash(files, by_file, thing, new)
    spans = {each: [place.span for place in places] for each, places in by_file.items()}
    _refuse_errors(files, spans, new)
    return spans


def _refuse_clash(
    files: EditorFiles, places: Mapping[Source, list[Occurrence]], thing: NamedThing, new: str
) -> None:
    """A second thing of that name may compile, and yet change the meaning."""
    for source in places:
        for occurrence in occurrences(files.scope(source)):
            other = occurrence.thing
            apart = thing.within and other.within and thing.within != other.within
            if other.name == new and not apart:
                line = source.position(occurrence.span.start).line
                name = Path(source.name).name
                raise RenameError(f"`{new}` is already a {other.kind.value}: {name}, line {line}")


def _refuse_errors(files: EditorFiles, spans: Mapping[Source, list[Span]], new: str) -> None:
    texts = dict(files.texts)
    for source, places in spans.items():
        texts[Path(os.path.realpath(source.name))] = replaced(source, places, new)
    for source in spans:
        before = _errors(check_source(source, files.texts).diagnostics)
        after = Source(source.name, texts[Path(os.path.realpath(source.name))])
        errors = _errors(check_source(after, texts).diagnostics)
        if len(errors) > len(before):
            old = {each.message for each in before}
            worst = next(each for each in errors if each.message not in old)
            raise RenameError(f"then {worst.message}: {Path(worst.source.name).name}")


def _errors(diagnostics: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    return [each for each in diagnostics if each.is_error]


def replaced(source: Source, places: list[Span], new: str) -> str:
    """A text with its places overwritten."""
    text = source.text
    for span in sorted(places, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text
