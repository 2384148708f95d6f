"""One thread for NumPy's BLAS while a bundled model is open.

Products of such small models gain nothing from more, other threads compute at the same time, and
how a product is cut into threads decides how it is added up.
"""

from __future__ import annotations

from threading import Lock
from typing import Any
from weakref import finalize

from threadpoolctl import ThreadpoolController

_lock = Lock()
_holders = 0
_before: list[tuple[Any, int]] = []


def hold_one_thread(owner: object) -> finalize[[], object]:
    """Limits BLAS to one thread until the result is called, or the owner is gone.

    Several owners may hold it; the last one to let go restores what was before the first.
    """
    global _holders
    with _lock:
        if not _holders:
            libraries = ThreadpoolController().select(user_api="blas").lib_controllers
            _before[:] = [(library, library.num_threads) for library in libraries]
            for library in libraries:
                library.set_num_threads(1)
        _holders += 1
    return finalize(owner, _let_go)


def _let_go() -> None:
    global _holders
    with _lock:
        _holders -= 1
        if not _holders:
            for library, threads in _before:
                library.set_num_threads(threads)
