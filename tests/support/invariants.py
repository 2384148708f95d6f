"""Invariant U: no (key, position, policy) is drawn in two contexts."""

from __future__ import annotations

from collections.abc import Iterable

from tts_runtime.engines.base import GenerateRequest, Generation


def drawn_in_two_contexts(
    drawn: Iterable[tuple[str, GenerateRequest, Generation]],
) -> tuple[GenerateRequest, GenerateRequest] | None:
    """Two requests that draw with the same noise behind different texts or in different ways.

    Greedy requests draw nothing: temperature 0 ignores the key (C15). Tokens that cannot be drawn
    (`at least`) and a first token taken by rank belong to the way of drawing.
    """
    first: dict[object, tuple[object, GenerateRequest]] = {}
    for policy, request, generation in drawn:
        if request.sampling.temperature == 0:
            continue
        for offset in range(generation.drawn):
            if request.first_rank is not None and offset == 0:
                continue
            before = (request.prompt, request.prefix + generation.ids[:offset])
            if offset > len(generation.ids):
                continue  # inside a withheld delimiter, whose ids the answer does not have
            limits = request.limits
            masked = max(0, limits.at_least - offset)
            # What `at least` forbids depends on the unit.
            forbidden: tuple[object, ...] = ()
            if masked:
                forbidden = masked, bool(limits.steps), limits.thought
            if limits.matching:  # what it allows depends on where the call starts
                forbidden += (limits.matching, offset)
            context = (before, request.sampling, forbidden)
            noise = (policy, request.key, len(request.prefix) + offset)
            known, other = first.setdefault(noise, (context, request))
            if known != context:
                return other, request
    return None
