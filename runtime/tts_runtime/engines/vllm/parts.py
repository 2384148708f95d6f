"""Which undocumented parts of vLLM an engine uses, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Internals:
    """Which undocumented parts of vLLM are used.

    Args:
        parts: Their names.
        reasons: Why the others are not, a phrase for each.
    """

    parts: frozenset[str]
    reasons: tuple[str, ...] = ()

    def without(self, part: str, reason: str) -> Internals:
        """The same without one part."""
        return Internals(self.parts - {part}, (*self.reasons, f"{part}: {reason}"))

    @property
    def described(self) -> str:
        """How vLLM is used, for the engine's description; empty if nothing is left out."""
        if not self.reasons:
            return ""
        how = "partly by" if self.parts else "by"
        return f"vLLM {version()} {how} its public interface ({'; '.join(self.reasons)})"


def version() -> str:
    """vLLM's version."""
    from vllm import __version__

    return str(__version__)


def turned_off(reason: str) -> Internals:
    """No part is used."""
    return Internals(frozenset(), (reason,))
