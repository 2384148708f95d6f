"""Lines of a record: JSON objects, each with a checksum that ties it to its run and file.

The last member of each line, `crc`, is the CRC-32 of the line's other bytes, started from that of
the file's identity. So a bit that flipped, a line that was torn, edited, or moved here from another
file or run is found, while each line stays plain JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO
from zlib import crc32

from tts_lang.printable import printable, printable_json
from tts_lang.readers import MAX_LINE_BYTES, TooDeep, parse_json

_SEAL: Final = re.compile(r',"crc":"([0-9a-f]{8})"\}\n?')
_SEAL_LENGTH: Final = len(',"crc":"00000000"}')
_DOCUMENT_SEAL: Final = re.compile(r',?\n  "#?crc": "([0-9a-f]{8})"\n\}\n')
_DOCUMENT_SEAL_LENGTH: Final = len(',\n  "#crc": "00000000"\n}\n')


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that cannot be believed. `line`: from 1; `reason`: what is wrong with it."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.reason}"


def encoded(value: Mapping[str, Any]) -> bytes:
    """A value as JSON in one line.

    Raises:
        TypeError: JSON has no form for it.
    """
    import orjson  # the playground writes no lines, and a browser has no such package

    try:
        return orjson.dumps(value)
    except TypeError:  # halves of surrogate pairs, integers of more than 64 bits
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")


def _line(file: TextIO) -> str:
    """The next line, empty at the end; of one longer than any that is written, its beginning."""
    line = part = file.readline(MAX_LINE_BYTES)
    while part and not part.endswith("\n"):
        part = file.readline(MAX_LINE_BYTES)
    return line


class Seal:
    """Writes and checks the lines of one file of one run.

    Args:
        identity: Of the run (its configuration), and of the file in it.
    """

    def __init__(self, *identity: str) -> None:
        self._start = crc32("\0".join(identity).encode())

    def line(self, value: Mapping[str, Any]) -> bytes:
        """A JSON object as a line of the file, with its end; a number that is not finite is null.

        Raises:
            TypeError: JSON has no form for it.
        """
        return self.sealed(encoded(value))

    def sealed(self, text: bytes) -> bytes:
        """The same of an object that is JSON in one line already (`encoded`)."""
        body = printable_json(text)[:-1]
        return b'%b,"crc":"%08x"}\n' % (body, crc32(body, self._start))

    def read(self, line: str) -> dict[str, Any]:
        """The object of a line, without its checksum.

        Raises:
            ValueError: What is wrong with it.
        """
        if not line.endswith("\n"):
            raise ValueError("the line has no end: it was torn, or is too long")
        found = _SEAL.fullmatch(line, len(line) - 1 - _SEAL_LENGTH)
        if found is None:
            raise ValueError("the line has no checksum")
        body = line[: found.start()]
        if self._sum(body) != found[1]:
            raise ValueError("the checksum does not agree: damaged, or of another run")
        try:
            value = parse_json(body + "}")
        except (ValueError, TooDeep) as error:
            raise ValueError(f"no JSON: {error}") from error
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
        return value

    def document(self, text: str, member: str = "crc") -> str:
        """A JSON object of several lines, as `json.dumps(..., indent=2)` writes it, sealed."""
        body = printable(text).rstrip().removesuffix("}").rstrip()
        comma = "" if body == "{" else ","
        return f'{body}{comma}\n  "{member}": "{self._sum(body)}"\n}}\n'

    def check_document(self, text: str) -> None:
        """Raises an error if a sealed document is damaged.

        Raises:
            ValueError: What is wrong with it.
        """
        found = _DOCUMENT_SEAL.search(text, max(0, len(text) - _DOCUMENT_SEAL_LENGTH))
        if found is None or found.end() != len(text):
            raise ValueError("it has no checksum at its end")
        if self._sum(text[: found.start()]) != found[1]:
            raise ValueError("the checksum does not agree: damaged, or of another run")

    def _sum(self, body: str) -> str:
        return f"{crc32(body.encode('utf-8', 'surrogatepass'), self._start):08x}"


def lines_of(path: Path, seal: Seal, damaged: list[Damage]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Good lines of a file and what they hold, one at a time; the others go to `damaged`.

    A file that is not there has no lines.

    Raises:
        OSError: The file cannot be read.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        file = path.open(encoding="utf-8", errors="surrogateescape", newline="\n")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(iter(lambda: _line(file), ""), start=1):
            try:
                value = seal.read(line)
            except ValueError as error:
                damaged.append(Damage(name, number, str(error)))
            else:
                yield line, value
