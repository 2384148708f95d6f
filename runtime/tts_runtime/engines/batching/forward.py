"""What batches and readers need of a causal model: the lean Llama and transformers' models."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from tts_runtime.engines.torch.kv_cache import Cache


class Forward(Protocol):
    """A causal model that reads rows, each after its own beginning."""

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding: ids are below it."""

    @property
    def device(self) -> str:
        """Where hidden states and logits are."""

    def cache(self, rows: int) -> Cache:
        """An empty cache of so many rows."""

    def extend(self, ids: Tensor, starts: Tensor, cache: Cache, *, block: bool = False) -> Tensor:
        """Reads tokens after those in the cache; gives hidden states [rows, tokens, hidden].

        Args:
            ids: [rows, tokens]; row i belongs to row i of the cache.
            starts: [rows], the position of each row's first token.
            cache: Extended in place. Padding at a row's end is written too, and overwritten later.
            block: Attend for all tokens at once: faster for many tokens, but with other roundings
                than one token at a time. Models with one way of attending ignore it.
        """

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of hidden states [rows, hidden]."""
