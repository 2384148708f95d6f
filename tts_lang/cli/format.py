"""`tts-compile --fmt`: strategy files in canonical layout."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tts_lang.cli.printing import report
from tts_lang.diagnostics import Diagnostic, DiagnosticError, file_error
from tts_lang.printable import printable
from tts_lang.readers import MAX_TEXT_BYTES, is_folder
from tts_lang.syntax.format import format_source
from tts_lang.syntax.parser import ParseResult, load, parse_bytes


def format_files(names: Sequence[str], *, check_only: bool) -> int:
    """Formats files in place, or lists those that would change.

    A folder stands for the `.tts` files in it. `-` formats standard input to standard output.

    Returns:
        The exit code: 2 if a file has syntax errors or cannot be read or written (the others are
        still formatted), 1 if `check_only` and a file would change, else 0.
    """
    code = 0
    for name in _files(names):
        result = parse_bytes(_stdin(), "<stdin>") if name == "-" else load(Path(name))
        try:
            changed = _format(name, result, check_only)
        except DiagnosticError as error:
            report(error.diagnostics)
            code = 2
            continue
        if changed and check_only:
            code = max(code, 1)
    return code


def _stdin() -> bytes:
    """Standard input, or what shows that it is too long: it may be endless."""
    return sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)


def _files(names: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if is_folder(Path(name)):
            yield from map(str, sorted(Path(name).rglob("*.tts")))
        else:
            yield name


def _format(name: str, result: ParseResult, check_only: bool) -> bool:
    """Whether the file changed or would change. Raises `DiagnosticError` if it cannot."""
    if not result.ok:
        raise DiagnosticError(result.diagnostics)
    text = format_source(result.source)
    if name == "-":
        if not check_only:
            sys.stdout.write(text)
        return text != result.source.text
    path = Path(name)
    # Compared with the bytes: other line ends or a byte order mark are not canonical.
    if path.read_bytes() == text.encode():
        return False
    if check_only:
        print(f"would format {printable(name)}")
        return True
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise DiagnosticError([_unwritable(name, error)]) from error
    print(f"formatted {printable(name)}")
    return True


def _unwritable(name: str, error: OSError) -> Diagnostic:
    reason = (error.strerror or type(error).__name__).lower()
    return file_error("TTS100", f"cannot write the file: {reason}", name)
