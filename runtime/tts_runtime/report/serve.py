"""The same page from a server on this machine, which follows runs while they grow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from tts_runtime.record.files import DirectoryError
from tts_runtime.report.page import baseline_of, drawn, problems, report
from tts_runtime.report.script import call
from tts_runtime.report.site import assets, tree_script
from tts_runtime.report.study import Study

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}
#: Nothing from elsewhere; the library that draws compiles expressions of its own.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_TREE: Final = re.compile(r"data/trees/([0-9]{1,9})/([0-9]{1,9})\.js")
#: Seconds between two looks at the runs, at least.
_EVERY: Final = 1.0
#: Names of this machine that a browser may ask for: a page elsewhere that lets its own name point
#: here (DNS rebinding) is refused.
_HOSTS: Final = ("127.0.0.1", "localhost")


class Live:
    """A study that is read again when somebody looks, and scripts made of it.

    Args:
        study: Of the runs.
        baseline: Name of the strategy that others are compared with.
    """

    def __init__(self, study: Study, baseline: str | None = None) -> None:
        self._study = study
        self._baseline = baseline
        self._lock = Lock()
        self._looked = float("-inf")
        self._scripts_by_path: dict[str, tuple[int, str]] = {}
        self._update()
        baseline_of(study, baseline)

    def _update(self) -> None:
        if monotonic() - self._looked >= _EVERY:
            self._study.update(lambda _entry, _tree: None)
            self._looked = monotonic()

    def script(self, path: str) -> str | None:
        """The content at a path of the site's data; `None` if there is none.

        Raises:
            DirectoryError: A run cannot be read any more.
        """
        with self._lock:
            if path == "data/state.json":
                self._update()
                return json.dumps({"version": self._study.version})
            if path in ("data/report.js", "data/problems.js"):
                return self._scripts(path)
            tree = _TREE.fullmatch(path)
            return None if tree is None else self._tree(int(tree[1]), int(tree[2]))

    def _scripts(self, path: str) -> str:
        version, text = self._scripts_by_path.get(path, (-1, ""))
        if version != self._study.version:
            chosen = baseline_of(self._study, self._baseline)
            figures, groups = drawn(self._study, chosen)
            shown = report(self._study, figures, groups, chosen, ())
            for name, value in (("report", shown), ("problems", problems(self._study, groups))):
                script = call(f"tts.{name}", value)
                self._scripts_by_path[f"data/{name}.js"] = (self._study.version, script)
            text = self._scripts_by_path[path][1]
        return text

    def _tree(self, strategy: int, place: int) -> str | None:
        study = self._study
        if strategy >= len(study.entries) or place >= len(study.places):
            return None
        key = list(study.places)[place]
        tree = study.entries[strategy].index.tree(key)
        return None if tree is None else tree_script(strategy, place, tree)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD: fixed files by name, data by what the study knows."""

    server_version = "tts-view"
    sys_version = ""
    live: Live
    files: dict[str, bytes]

    def do_GET(self) -> None:
        """The file or the data at a path."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """The same without its content."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in _HOSTS:
            self._send(403, "text/plain", b"this server answers this machine only\n", body)
            return
        # Names are looked up, never joined to a folder: no path can leave the site.
        path = urlsplit(self.path).path.removeprefix("/") or "index.html"
        content = self.files.get(path)
        if content is None:
            try:
                script = self.live.script(path)
            except (DirectoryError, OSError, KeyError) as error:
                self._send(500, "text/plain; charset=utf-8", f"{error}\n".encode(), body)
                return
            content = None if script is None else script.encode()
        if content is None:
            self._send(404, "text/plain", b"nothing here\n", body)
            return
        kind = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        self._send(200, kind, content, body)

    def _send(self, status: int, kind: str, content: bytes, body: bool) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Says nothing: the terminal is the user's."""


class _Server(ThreadingHTTPServer):
    """A browser that leaves early is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing."""


def server(live: Live, port: int) -> ThreadingHTTPServer:
    """A server of the page on the loopback address; port 0: any that is free.

    Raises:
        OSError: The port is taken.
    """
    files = {name: asset.read_bytes() for name, asset in assets()}
    handler: Callable[..., BaseHTTPRequestHandler] = type(
        "Handler", (_Handler,), {"live": live, "files": files}
    )
    return _Server(("127.0.0.1", port), handler)
