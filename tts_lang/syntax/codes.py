"""Diagnostic codes of reading a file: bytes, tokens, grammar."""

from __future__ import annotations

from tts_lang.codes import Code

CODES: tuple[Code, ...] = ()
