"""Data as scripts, which a page can load from a file, where it may not fetch."""

from __future__ import annotations

import json
from typing import Any, Final

#: Texts that would end a script element or begin a comment in one.
_MARKUP: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def call(function: str, *arguments: Any) -> str:
    """A script that hands values to a function of the page.

    It is ASCII, and no text in it can end the script: recorded texts are data, whatever they hold.
    """
    shown = (json.dumps(each, separators=(",", ":"), allow_nan=False) for each in arguments)
    return f"{function}({','.join(shown)});\n".translate(_MARKUP)
