"""The language server: the protocol's requests, answered by the modules beside it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from tts_lang.check.imports import Loader
from tts_lang.compiler import check_source, plan_of
from tts_lang.diagnostics import Diagnostic, DiagnosticError
from tts_lang.lsp import completion, findings, hover, outline, rename
from tts_lang.lsp.positions import offset_at, range_of
from tts_lang.lsp.project import EditorFiles, path_of
from tts_lang.lsp.symbols import SymbolKind, at, occurrences, reach
from tts_lang.release import release
from tts_lang.repair import repaired
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.format import format_source
from tts_lang.syntax.parser import parse

#: Seconds without typing after which a file is checked.
PAUSE = 0.15
#: Calls within calls: as the compiler allows itself, but for all threads.
_RECURSION = 20_000

_Result = TypeVar("_Result")

_SYMBOLS = {
    SymbolKind.POLICY: lsp.SymbolKind.Interface,
    SymbolKind.SCORER: lsp.SymbolKind.Interface,
    SymbolKind.PROMPT: lsp.SymbolKind.String,
    SymbolKind.JUDGE: lsp.SymbolKind.Class,
    SymbolKind.STRATEGY: lsp.SymbolKind.Function,
    SymbolKind.PARAMETER: lsp.SymbolKind.Variable,
    SymbolKind.FREE: lsp.SymbolKind.Event,
}
_OFFERS = {
    "keyword": lsp.CompletionItemKind.Keyword,
    "function": lsp.CompletionItemKind.Function,
    "column": lsp.CompletionItemKind.Field,
    "variable": lsp.CompletionItemKind.Variable,
    "parameter": lsp.CompletionItemKind.Property,
    "strategy": lsp.CompletionItemKind.Module,
    "prompt": lsp.CompletionItemKind.Text,
    "scorer": lsp.CompletionItemKind.Interface,
    "policy": lsp.CompletionItemKind.Interface,
    "file": lsp.CompletionItemKind.File,
    "slot": lsp.CompletionItemKind.Property,
    "value": lsp.CompletionItemKind.Constant,
}
#: Completions in this order of kinds.
_ORDER = (
    *("parameter", "variable", "slot", "file", "scorer", "prompt", "policy", "column"),
    *("strategy", "keyword", "value", "function"),
)


class _Superseded(Exception):
    """The text has changed since a check of it began."""


class StrategyServer(LanguageServer):
    """Open files and their diagnostics."""

    def __init__(self) -> None:
        # Whole texts: they are small, and pygls cuts lines at more characters than the protocol.
        kind = lsp.TextDocumentSyncKind.Full
        super().__init__("tts-lsp", release(), text_document_sync_kind=kind)
        self._checks: dict[str, asyncio.Task[None]] = {}
        #: The files that each document reads, by its address.
        self._reached: dict[str, frozenset[Path]] = {}
        #: The diagnostics of the last check of each document, with the text checked.
        self.diagnostics: dict[str, tuple[Source, Sequence[Diagnostic]]] = {}

    def files(self) -> EditorFiles:
        """The files as they are now."""
        documents = self.workspace.text_documents
        addresses = {path_of(uri).resolve(): uri for uri in documents}
        texts = {path: Source.of(documents[uri].source).text for path, uri in addresses.items()}
        roots = [path_of(folder.uri) for folder in self.workspace.folders.values()]
        if not roots and self.workspace.root_uri:
            roots = [path_of(self.workspace.root_uri)]
        return EditorFiles(texts, roots, self.workspace.position_codec, addresses)

    def source(self, uri: str) -> Source:
        """The text of a document."""
        document = self.workspace.get_text_document(uri)
        try:
            text = document.source
        except (OSError, UnicodeDecodeError):  # asked about a file that is gone, and never opened
            text = ""
        return Source.of(text, str(path_of(uri)))

    # -------------------------------------------------------------------------- checks

    def check_soon(self, changed: str) -> None:
        """Checks a document when its author pauses, and then the open ones that import it."""
        for uri in dict.fromkeys((changed, *self._importers(changed))):
            if (running := self._checks.get(uri)) is not None:
                running.cancel()
            self._checks[uri] = asyncio.ensure_future(self._check(uri))

    def _importers(self, changed: str) -> list[str]:
        path = Path(os.path.realpath(path_of(changed)))
        return [uri for uri, reached in self._reached.items() if path in reached]

    async def checked(self, uri: str) -> None:
        """Waits until nothing more is to be found in a document as it is."""
        while (running := self._checks.get(uri)) is not None and not running.done():
            await asyncio.wait([running])

    async def _check(self, uri: str) -> None:
        await asyncio.sleep(PAUSE)
        files, source = self.files(), self.source(uri)

        def look(text: Source) -> Sequence[Diagnostic]:
            if self.source(uri) != source:
                raise _Superseded
            return check_source(text, files.texts).diagnostics

        def imported() -> frozenset[Path]:
            loader = Loader(files.texts)
            loader.source(source)
            return loader.read

        try:
            self._reached[uri] = await asyncio.to_thread(imported)
            diagnostics = await asyncio.to_thread(look, source)
            self._publish(uri, source, diagnostics, files)
            if any(each.is_error for each in diagnostics):
                # Helps are tried on the file, which takes longer: they follow.
                better = await asyncio.to_thread(repaired, diagnostics, look, plan_of)
                if better != tuple(diagnostics):
                    self._publish(uri, source, better, files)
        except _Superseded:
            pass

    def _publish(
        self, uri: str, source: Source, diagnostics: Sequence[Diagnostic], files: EditorFiles
    ) -> None:
        if uri not in self.workspace.text_documents or self.source(uri) != source:
            return
        self.diagnostics[uri] = (source, diagnostics)
        document = self.workspace.get_text_document(uri)
        shown = findings.published(source, diagnostics, files)
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(uri, shown, document.version)
        )

    def forget(self, uri: str) -> None:
        """A document was closed: its diagnostics are no longer shown, and the disk has it."""
        if (running := self._checks.pop(uri, None)) is not None:
            running.cancel()
        self._reached.pop(uri, None)
        self.diagnostics.pop(uri, None)
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))
        for importer in self._importers(uri):
            self.check_soon(importer)


def make_server() -> StrategyServer:
    """A server that is ready to be started."""
    server = StrategyServer()

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        server.forget(params.text_document.uri)

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def written(_: lsp.DidChangeWatchedFilesParams) -> None:
        for uri in server.workspace.text_documents:
            server.check_soon(uri)

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        files, source, offset = _place(server, params)
        result = await asyncio.to_thread(hover.hover, files, source, offset)
        if result is None:
            return None
        text, span = result
        content = lsp.MarkupContent(lsp.MarkupKind.Markdown, text)
        return lsp.Hover(content, range_of(source, span, files.codec))

    @server.feature(
        lsp.TEXT_DOCUMENT_COMPLETION,
        lsp.CompletionOptions(trigger_characters=["(", '"', "{", "/", " "]),
    )
    async def completed(params: lsp.CompletionParams) -> lsp.CompletionList:
        return _completions(server, params)

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def defined(params: lsp.DefinitionParams) -> list[lsp.Location]:
        return _definitions(server, params)

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    async def referred(params: lsp.ReferenceParams) -> list[lsp.Location]:
        files, source, offset = _place(server, params)
        occurrence = at(occurrences(files.scope(source)), offset)
        if occurrence is None:
            return []
        places = await asyncio.to_thread(rename.everywhere, files, source, occurrence.thing)
        return [
            lsp.Location(files.uri(file.name), range_of(file, place.span, files.codec))
            for file, inside in places.items()
            for place in inside
            if params.context.include_declaration or not place.gives
        ]

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outlined(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        source = server.source(params.text_document.uri)
        return [_symbol(server, source, each) for each in outline.outline(source)]

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    async def formatted(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        source = server.source(params.text_document.uri)
        try:
            text = format_source(source)
        except DiagnosticError:
            return []  # a file with syntax errors stays as it is
        whole = range_of(source, Span(0, len(source.text)), server.workspace.position_codec)
        return [] if text == source.text else [lsp.TextEdit(whole, text)]

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    async def renamable(params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder:
        files, source, offset = _place(server, params)
        occurrence = await _answered(rename.thing_at, files, source, offset)
        place = range_of(source, occurrence.span, files.codec)
        return lsp.PrepareRenamePlaceholder(place, occurrence.thing.name)

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    async def renamed(params: lsp.RenameParams) -> lsp.WorkspaceEdit:
        files, source, offset = _place(server, params)
        spans_by_file = await _answered(rename.renamed, files, source, offset, params.new_name)
        return lsp.WorkspaceEdit(
            {
                files.uri(file.name): [
                    lsp.TextEdit(range_of(file, span, files.codec), params.new_name)
                    for span in spans
                ]
                for file, spans in spans_by_file.items()
            }
        )

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix]),
    )
    async def fixed(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        return await _fixes(server, params)

    return server


async def _answered(answer: Callable[..., _Result], *arguments: Any) -> _Result:
    """The answer in a thread of its own; why there is none, as an error of the protocol."""
    try:
        return await asyncio.to_thread(answer, *arguments)
    except rename.RenameError as error:
        raise JsonRpcException(str(error), lsp.LSPErrorCodes.RequestFailed) from error


def _place(
    server: StrategyServer, params: lsp.TextDocumentPositionParams | Any
) -> tuple[EditorFiles, Source, int]:
    files, source = server.files(), server.source(params.text_document.uri)
    return files, source, offset_at(source, params.position, files.codec)


def _completions(server: StrategyServer, params: lsp.CompletionParams) -> lsp.CompletionList:
    files, source, offset = _place(server, params)
    span, offers = completion.complete(files, source, offset)
    place = range_of(source, span, files.codec)
    items = []
    for number, offer in enumerate(offers):
        about = f"```tts\n{offer.detail}\n```\n{offer.about}" if offer.about else None
        items.append(
            lsp.CompletionItem(
                offer.label,
                kind=_OFFERS[offer.kind],
                detail=offer.detail or None,
                documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, about) if about else None,
                sort_text=f"{_ORDER.index(offer.kind):02}{number:05}",
                text_edit=lsp.TextEdit(place, offer.label),
            )
        )
    return lsp.CompletionList(False, items)


def _definitions(server: StrategyServer, params: lsp.DefinitionParams) -> list[lsp.Location]:
    files, source, offset = _place(server, params)
    scope = files.scope(source)
    for item in parse(source).file.items:
        if isinstance(item, nodes.Import) and item.path.span.start <= offset <= item.path.span.end:
            return [
                lsp.Location(files.uri(path), lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)))
                for path in files.imported(source, item.path.value)
            ]
    occurrence = at(occurrences(scope), offset)
    if occurrence is None:
        return []
    places = [
        (file.source, place.span)
        for file in reach(scope)
        for place in occurrences(file)
        if place.gives and place.thing == occurrence.thing
    ]
    if occurrence.thing.kind is SymbolKind.VARIABLE:  # where it gets its first value
        places = places[:1]
    return [
        lsp.Location(files.uri(file.name), range_of(file, span, files.codec))
        for file, span in places
    ]


def _symbol(
    server: StrategyServer, source: Source, entry: outline.OutlineEntry
) -> lsp.DocumentSymbol:
    codec = server.workspace.position_codec
    return lsp.DocumentSymbol(
        entry.name,
        _SYMBOLS[entry.kind],
        range_of(source, entry.span, codec),
        range_of(source, entry.name_span, codec),
        detail=entry.detail or None,
        children=[_symbol(server, source, each) for each in entry.inside],
    )


async def _fixes(server: StrategyServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    uri = params.text_document.uri
    await server.checked(uri)
    files, source = server.files(), server.source(uri)
    checked, published = server.diagnostics.get(uri, (source, ()))
    if checked != source:
        return []
    lines = range(params.range.start.line + 1, params.range.end.line + 2)
    selected = [
        diagnostic
        for diagnostic in published
        if diagnostic.source == source and source.position(diagnostic.span.start).line in lines
    ]

    def look(text: Source) -> Sequence[Diagnostic]:
        return check_source(text, files.texts).diagnostics

    actions = []
    for diagnostic in selected:
        fix = await asyncio.to_thread(findings.quick_fix, diagnostic, look)
        if fix is not None:
            span, text = fix
            edit = lsp.TextEdit(range_of(source, span, files.codec), text)
            actions.append(
                lsp.CodeAction(
                    _title(span, text),
                    kind=lsp.CodeActionKind.QuickFix,
                    diagnostics=findings.published(source, [diagnostic], files),
                    is_preferred=True,
                    edit=lsp.WorkspaceEdit({uri: [edit]}),
                )
            )
    return actions


def _title(span: Span, text: str) -> str:
    """The title of a quick fix in the editor's list."""
    shown = " and ".join(f"`{line.strip()}`" for line in text.strip().split("\n"))
    if not shown.strip("`"):
        return "Remove it"
    return f"Add {shown}" if span.start == span.end else f"Write {shown}"


def serve() -> None:
    """Serves one client over standard input and output until it leaves."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION))
    make_server().start_io()
