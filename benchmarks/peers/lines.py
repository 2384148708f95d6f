"""How a peer is asked: a process that says when it is ready, then takes tasks.

Nothing here imports anything of this project: peers have Pythons of their own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

#: One problem's method and size: `{"method": ..., "n": ..., "problems": [{"id", "text"}]}`.
Task = dict[str, Any]


def serve(answer: Callable[[Task], dict[str, Any]]) -> None:
    """Takes tasks from standard input until it ends, and writes what `answer` gives for each."""
    # Libraries write to standard output what they like.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=out, flush=True)
