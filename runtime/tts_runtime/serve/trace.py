"""Answers of a server as run directories, which `tts-show` and `open_run` read.

    DIR/beam_search@n=4/            one run directory per strategy and values of its parameters
    DIR/beam_search@n=4-1f0c29a7/   the same after a change of its file, or with other engines

A request is a problem with an id of its own; its `fields` say which id and seed it was asked with.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from tts_runtime.problems import Problem
from tts_runtime.record.files import PROBLEMS, folder_of, open_private, problem_line, seal_of
from tts_runtime.record.lines import Seal
from tts_runtime.record.manifest import SCHEMA, Manifest, identity_of, session_now
from tts_runtime.runs.compact import encoded_answer
from tts_runtime.runs.described import configuration_of
from tts_runtime.runs.response import Response
from tts_runtime.runs.rundir import RunDirectoryError, StrategyWriter, opened
from tts_runtime.runs.settings import Settings
from tts_runtime.serve.catalogue import Served

_LOGGER = logging.getLogger(__name__)
#: Directories that are open at once; the one that was written longest ago closes.
_OPEN: Final = 64


class _Directory:
    """One open run directory."""

    def __init__(
        self,
        path: Path,
        served: Served,
        configuration: Mapping[str, Any],
        settings: Settings,
        command: Sequence[str],
    ) -> None:
        identity = identity_of(configuration)
        self._seal: Seal = seal_of(identity, "", PROBLEMS)
        self._stack = ExitStack()
        with ExitStack() as stack:
            manifest = Manifest(
                schema=SCHEMA,
                configuration=configuration,
                problem_set="tts-serve",
                engines={
                    name: {"engine": named if isinstance(named, str) else type(named).__name__}
                    for engines in (settings.policies, settings.scorers)
                    for name, named in engines.items()
                },
                sessions=[session_now(command)],
            )
            stack.enter_context(opened(path, manifest, ()))
            self._problems: BinaryIO = stack.enter_context(open_private(path / PROBLEMS, "ab"))
            self._writer = stack.enter_context(StrategyWriter(path, served.plan, identity))
            self._stack = stack.pop_all()

    def write(self, response: Response) -> None:
        """One more problem."""
        about = {"id": response.problem.id, "seed": response.seed}
        problem = Problem(f"req-{token_hex(8)}", response.problem.text, fields=about)
        trace = response.trace
        answer = trace.answer.model_copy(update={"id": problem.id})
        decisions = [dict(each) for each in trace.decisions]
        self._problems.write(self._seal.line(problem_line(problem)))
        self._problems.flush()
        self._writer.problem(answer.trial, encoded_answer(answer), response.lines(), decisions)

    def close(self) -> None:
        """Closes the files."""
        self._stack.close()


class TraceWriter:
    """Writes answers below a directory; a context manager that closes the files.

    An answer that cannot be written (a full disk) is reported, and served all the same.

    Raises:
        RunDirectoryError: On entering: the directory cannot be made.
    """

    def __init__(self, path: Path, settings: Settings, command: Sequence[str]) -> None:
        self._path = path
        self._settings = settings
        self._command = command
        self._open: OrderedDict[tuple[str, str], _Directory] = OrderedDict()

    def __enter__(self) -> Self:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise RunDirectoryError(f"--trace: {self._path} cannot be made: {reason}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def write(self, served: Served, response: Response) -> None:
        """Writes an answer."""
        try:
            self._directory(served).write(response)
        except (RunDirectoryError, OSError) as error:
            _LOGGER.error("an answer is not in the trace: %s", error)

    def _directory(self, served: Served) -> _Directory:
        name = served.name, served.digest
        directory = self._open.get(name)
        if directory is None:
            directory = self._open[name] = self._opened(served)
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return directory

    def _opened(self, served: Served) -> _Directory:
        """The directory of the strategy's name, if nobody else's answers are there."""
        configuration = configuration_of([served.plan], self._settings, ("none",))
        about = served, configuration, self._settings, self._command
        try:
            return _Directory(self._path / folder_of(served.name), *about)
        except RunDirectoryError:
            # Its file has changed since, or an engine: that is another run.
            other = f"{served.name}-{identity_of(configuration)[:8]}"
            return _Directory(self._path / folder_of(other), *about)
