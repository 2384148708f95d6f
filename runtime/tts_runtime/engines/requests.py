"""What every policy engine checks and derives before it generates."""

from __future__ import annotations

from dataclasses import replace

from tts_runtime.binding import Binding, BindingError
from tts_runtime.engines.base import CandidateError, EngineError, Fault, GenerateRequest
from tts_runtime.tokens import Tokenizer


def end_ids(tokenizer: Tokenizer, binding: Binding) -> frozenset[int]:
    """The tokens that end a solution.

    Raises:
        BindingError: A stop text is not one token.
    """
    ends = set()
    for text in binding.stop:
        ids = tokenizer.encode(text)
        if len(ids) != 1:
            raise BindingError(
                f"binding of `{binding.name}`: stop text {text!r} is {len(ids)} tokens, but only a "
                "single token can end a solution"
            )
        ends.add(ids[0])
    return frozenset(ends)


def fitted(request: GenerateRequest, binding: Binding) -> GenerateRequest:
    """The request, its token limit lowered to what the context window leaves.

    Raises:
        CandidateError: Nothing is left.
        EngineError: Nothing is asked for.
    """
    room = binding.context - len(request.prompt) - len(request.prefix)
    if room <= 0:
        raise CandidateError(
            Fault.TOO_LONG,
            f"a prompt of {len(request.prompt)} tokens and {len(request.prefix)} tokens written "
            f"after it fill the context window of `{binding.name}` ({binding.context} tokens)",
        )
    limits = request.limits
    if limits.max_tokens <= 0:
        raise EngineError(f"a limit of {limits.max_tokens} tokens leaves nothing to generate")
    if limits.max_tokens <= room:
        return request
    return replace(request, limits=replace(limits, max_tokens=room))
