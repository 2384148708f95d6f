"""How a peer is asked: a process that says when it is ready, then takes tasks.

Nothing here imports anything of this project: peers have Pythons of their own.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

#: One problem's method and size: `{"method": ..., "n": ..., "problems": [{"id", "text"}]}`.
Task = dict[str, Any]


def scores(url: str, problem: str, texts: Sequence[str]) -> list[float]:
    """The reward model's score of each text: that of its last step."""
    body = json.dumps({"problem": problem, "texts": list(texts)}).encode()
    with urllib.request.urlopen(url, body) as reply:
        found: list[float] = json.load(reply)
    return found


def serve(answer: Callable[[Task], dict[str, Any]]) -> None:
    """Takes tasks from standard input until it ends, and writes what `answer` gives for each."""
    # Libraries write to standard output what they like.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=out, flush=True)
