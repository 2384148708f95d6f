"""The cost of a token: sizes of the models of policies and scorers, and FLOPs from them.

FLOPs of a forward pass over tokens are counted as Kaplan et al. (2020, section 2.1) do: 2 for each
parameter and token, and for attention 4 x layers x width for each token and each position that it
attends to. Where only the number of parameters is known, layers and width are those of a model of
12 x layers x width^2 parameters that is 128 times as wide as deep (7e9 parameters: 33 layers of
width 4,214).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_WIDTH_PER_LAYER: Final = 128.0

#: Meanings of the numbers, for a legend.
FORMULA: Final = (
    "FLOPs = 2 x parameters x tokens + 4 x layers x width x positions that each token attends to"
)


@dataclass(frozen=True, slots=True)
class Model:
    """The size of a transformer.

    Args:
        parameters: That take part in a forward pass.
        layers, width: Its depth and the size of its hidden states; 0: as usual for its parameters.
    """

    parameters: float
    layers: float = 0
    width: float = 0

    @property
    def attention(self) -> float:
        """Layers x width."""
        if self.layers and self.width:
            return self.layers * self.width
        layers = math.cbrt(self.parameters / (12 * _WIDTH_PER_LAYER**2))
        return layers * layers * _WIDTH_PER_LAYER

    def flops(self, tokens: float, attended: float) -> float:
        """FLOPs of `tokens` tokens that attend to `attended` positions in all."""
        if not tokens:
            return 0.0
        return 2 * self.parameters * tokens + 4 * self.attention * attended


def attended(tokens: float, end: float) -> float:
    """Positions that the last `tokens` tokens of a context of `end` tokens attend to, in all."""
    if not tokens:
        return 0.0
    return tokens * end - tokens * tokens / 2


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a plan, as far as their sizes are known.

    Args:
        named: By the name of the policy or scorer in the strategy.
        policy: Of policies that are not named; `None`: not known.
    """

    named: Mapping[str, Model] = field(default_factory=dict)
    policy: Model | None = None

    def __bool__(self) -> bool:
        return bool(self.named) or self.policy is not None

    def of_policy(self, name: str) -> Model | None:
        """A policy's model."""
        return self.named.get(name, self.policy)

    def of_scorer(self, name: str) -> Model | None:
        """A scorer's model."""
        return self.named.get(name)


UNKNOWN: Final = Models()
