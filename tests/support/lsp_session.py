"""A client of `tts-lsp`, pytest-lsp's, that waits for each answer: the server is a process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls.protocol import default_converter
from pytest_lsp import LanguageClient, client_capabilities
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES, register_lsp_features

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
#: Seconds after which an answer that does not come is a failure.
PATIENCE = 60.0


class EditorSession:
    """One client and its server, in one workspace.

    Positions are marked in texts: `‸` is the cursor, and is not sent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self.client = LanguageClient(converter_factory=default_converter)
        self._published: dict[str, lsp.PublishDiagnosticsParams] = {}

        def keep(client: LanguageClient, params: lsp.PublishDiagnosticsParams) -> None:
            del client
            self._published[params.uri] = params

        kept = {lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS: keep}
        register_lsp_features(self.client, {**DEFAULT_CLIENT_FEATURES, **kept})
        self._versions: dict[str, int] = {}
        self._wait(self._start())

    async def _start(self) -> None:
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths}
        command = "import sys; from tts_lang.lsp.command import main; sys.exit(main())"
        await self.client.start_io(sys.executable, "-c", command, env=environment)
        await self.client.initialize_session(
            lsp.InitializeParams(
                client_capabilities("visual-studio-code"),
                workspace_folders=[lsp.WorkspaceFolder(self.folder.as_uri(), "test")],
            )
        )

    def _wait(self, answer: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(answer, PATIENCE))

    def close(self) -> int | None:
        """Leaves as the protocol says; the exit code of the server."""
        process = self.client._server
        self._wait(self.client.shutdown_session())
        self._wait(self.client.stop())  # type: ignore[no-untyped-call]
        self._loop.close()
        return None if process is None else process.returncode

    # -------------------------------------------------------------------------- documents

    def uri(self, name: str) -> str:
        """The address of a file of the workspace."""
        return (self.folder / name).as_uri()

    def write(self, name: str, text: str) -> None:
        """A file on the disk."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def open(self, name: str, text: str) -> Sequence[lsp.Diagnostic]:
        """Opens a document or changes it; what the server then says about it."""
        uri = self.uri(name)
        version = self._versions[uri] = self._versions.get(uri, 0) + 1
        if version == 1:
            item = lsp.TextDocumentItem(uri, "tts", version, text)
            self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        else:
            identity = lsp.VersionedTextDocumentIdentifier(version, uri)
            change = lsp.TextDocumentContentChangeWholeDocument(text)
            self.client.text_document_did_change(
                lsp.DidChangeTextDocumentParams(identity, [change])
            )
        return self._wait(self._checked(uri, version))

    async def _checked(self, uri: str, version: int) -> Sequence[lsp.Diagnostic]:
        while (found := self._published.get(uri)) is None or found.version != version:
            await asyncio.sleep(0.01)
        return list(found.diagnostics)

    def wait_until_clean(self, name: str) -> None:
        """Waits until the server has nothing to say about a document."""

        async def clean() -> None:
            while self._published[self.uri(name)].diagnostics:
                await asyncio.sleep(0.01)

        self._wait(clean())

    def close_document(self, name: str) -> None:
        """Closes a document."""
        uri = self.uri(name)
        self._versions.pop(uri, None)
        self._published.pop(uri, None)
        identity = lsp.TextDocumentIdentifier(uri)
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(identity))

    # -------------------------------------------------------------------------- requests

    def at(self, name: str, marked: str) -> tuple[lsp.TextDocumentIdentifier, lsp.Position]:
        """Opens a text with a mark; the place of the mark, in units of UTF-16."""
        before, mark, after = marked.partition("‸")
        assert mark, "no mark in the text"
        self.open(name, before + after)
        line = before.rpartition("\n")[2]
        place = lsp.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)
        return lsp.TextDocumentIdentifier(self.uri(name)), place

    def hover(self, name: str, marked: str) -> str | None:
        """The text of a hover."""
        found = self._wait(
            self.client.text_document_hover_async(lsp.HoverParams(*self.at(name, marked)))
        )
        if found is None:
            return None
        assert isinstance(found.contents, lsp.MarkupContent)
        return found.contents.value

    def completions(self, name: str, marked: str) -> dict[str, lsp.CompletionItem]:
        """What is offered, by label."""
        found = self._wait(
            self.client.text_document_completion_async(lsp.CompletionParams(*self.at(name, marked)))
        )
        assert isinstance(found, lsp.CompletionList)
        return {each.label: each for each in found.items}

    def definition(self, name: str, marked: str) -> list[tuple[str, int]]:
        """Files and lines (from 0)."""
        found = self._wait(
            self.client.text_document_definition_async(lsp.DefinitionParams(*self.at(name, marked)))
        )
        assert isinstance(found, Sequence)
        places = [each for each in found if isinstance(each, lsp.Location)]
        return [(each.uri, each.range.start.line) for each in places]

    def references(self, name: str, marked: str) -> int:
        """How many places name a thing."""
        document, place = self.at(name, marked)
        parameters = lsp.ReferenceParams(lsp.ReferenceContext(True), document, place)
        return len(self._wait(self.client.text_document_references_async(parameters)) or ())

    def symbols(self, name: str, text: str) -> Sequence[lsp.DocumentSymbol]:
        """The outline."""
        self.open(name, text)
        parameters = lsp.DocumentSymbolParams(lsp.TextDocumentIdentifier(self.uri(name)))
        found = self._wait(self.client.text_document_document_symbol_async(parameters))
        return [each for each in found or () if isinstance(each, lsp.DocumentSymbol)]

    def format(self, name: str, text: str) -> str:
        """A text after the edits of the formatter."""
        self.open(name, text)
        options = lsp.FormattingOptions(tab_size=4, insert_spaces=True)
        parameters = lsp.DocumentFormattingParams(
            lsp.TextDocumentIdentifier(self.uri(name)), options
        )
        return edited(text, self._wait(self.client.text_document_formatting_async(parameters)))

    def rename(self, name: str, marked: str, new: str) -> dict[str, str]:
        """Texts of files after a rename, by name in the workspace."""
        document, place = self.at(name, marked)
        found = self._wait(
            self.client.text_document_rename_async(lsp.RenameParams(document, place, new))
        )
        assert found is not None
        return self._applied(found, name, marked.replace("‸", ""))

    def prepare_rename(self, name: str, marked: str) -> str:
        """What the editor shows in the box."""
        found = self._wait(
            self.client.text_document_prepare_rename_async(
                lsp.PrepareRenameParams(*self.at(name, marked))
            )
        )
        assert isinstance(found, lsp.PrepareRenamePlaceholder)
        return found.placeholder

    def fixes(self, name: str, text: str) -> list[tuple[str, str]]:
        """Titles of the quick fixes of a text, and the text after each."""
        found = self.open(name, text)
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(len(text), 0))
        parameters = lsp.CodeActionParams(
            lsp.TextDocumentIdentifier(self.uri(name)), whole, lsp.CodeActionContext(found)
        )
        actions = self._wait(self.client.text_document_code_action_async(parameters)) or ()
        return [
            (each.title, self._applied(each.edit, name, text)[name])
            for each in actions
            if isinstance(each, lsp.CodeAction) and each.edit is not None
        ]

    def _applied(self, edit: lsp.WorkspaceEdit, name: str, text: str) -> dict[str, str]:
        found = {}
        for uri, edits in (edit.changes or {}).items():
            path = Path(uri.removeprefix("file://"))
            known = path.relative_to(self.folder).as_posix()
            before = text if known == name else path.read_text(encoding="utf-8")
            found[known] = edited(before, edits)
        return found


def edited(text: str, edits: Sequence[lsp.TextEdit] | None) -> str:
    """A text after edits, whose places are in units of UTF-16."""
    lines = text.split("\n")

    def offset(place: lsp.Position) -> int:
        line = lines[place.line] if place.line < len(lines) else ""
        inside = line.encode("utf-16-le")[: 2 * place.character].decode("utf-16-le")
        return sum(len(each) + 1 for each in lines[: place.line]) + len(inside)

    for edit in sorted(edits or (), key=lambda each: offset(each.range.start), reverse=True):
        start, end = offset(edit.range.start), offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text
