"""Paths of the files that ship with the runtime, in a checkout or an installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(part: str) -> Path:
    """The folder of bundled data `part` (`problems`, `policy`, `prm`).

    A checkout keeps it in `runtime/bundled`, next to the package; an installed package inside
    itself. Raises FileNotFoundError naming both places.
    """
    places = (_PACKAGE / "bundled" / part, _PACKAGE.parent / "bundled" / part)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"the bundled {part} are missing: neither {places[0]} nor {places[1]} exists; "
        "install the package again"
    )
