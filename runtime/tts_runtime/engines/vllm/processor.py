"""The logits processor that makes vLLM draw from streams: it runs in vLLM's worker processes.

vLLM samples greedily; this processor leaves it one token per row, the one that the row's stream
draws (semantics.md C15). All rows are drawn at once. `protocol` says how numbers come back. A
request whose call is over gets a token that stops it, which the policy engine discards.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isnan
from pathlib import Path

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.v1.sample.logits_processor import (
    BatchUpdate,
    LogitsProcessor,
    MoveDirectionality,
)

from tts_runtime.engines.base import EngineError, GenerateRequest, Limits, Sampling
from tts_runtime.engines.batching.draws import draws
from tts_runtime.engines.batching.noise import position_seeds
from tts_runtime.engines.batching.sampling import SamplingColumns, log_probabilities, statistic
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.stopping import StopCriteria
from tts_runtime.engines.vllm.protocol import (
    NO_NUMBERS,
    NOTHING_ALLOWED,
    RANK_TOO_HIGH,
    ProcessorConfig,
    followed,
    statistic_value,
    unpacked,
    values_in,
)
from tts_runtime.sampling import ranked
from tts_runtime.streams import Key


@dataclass(slots=True, eq=False)
class _Row:
    """One request; `drawn` is vLLM's own list of its tokens, which grows.

    `values`, if any, is the request's list of values for them. The criteria learn of tokens only
    when one of `telling` is drawn, without which they cannot stop.
    """

    request: GenerateRequest
    drawn: list[int]
    criteria: StopCriteria | None
    values: list[float] | None
    telling: Container[int]
    pushed: int = 0
    failed: bool = False
    #: Copies for use at every token.
    key: Key = field(init=False)
    first: int = field(init=False)
    least: int = field(init=False)
    matching: bool = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.request.key
        self.first = len(self.request.prefix)
        self.least = self.request.limits.at_least
        self.matching = bool(self.request.limits.matching)

    def stops(self) -> bool:
        """Takes the tokens drawn since the last call; true if the request must stop."""
        criteria = self.criteria
        if criteria is None or self.failed:
            return self.failed
        drawn = self.drawn
        count = len(drawn)
        if self.pushed < count and (drawn[-1] in self.telling or self.choosy):
            for token in drawn[self.pushed :]:
                if criteria.finish is None:
                    criteria.push(token, 0.0)
            self.pushed = count
        return criteria.finish is not None

    @property
    def choosy(self) -> bool:
        """Whether the next token may be a forbidden one: the criteria need all tokens before it."""
        return self.matching or len(self.drawn) < self.least

    def note(self, value: float) -> None:
        """Lists the value of the next token; vLLM discards it if the prompt is not yet read."""
        if self.values is not None:
            self.values[len(self.drawn) :] = (value,)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The rows of a batch in order, until it changes."""

    rows: tuple[_Row, ...]
    places: Tensor | None  # their rows in the logits; `None` if they are all rows
    settings: SamplingColumns
    followed: tuple[tuple[int, _Row], ...]  # rows that may have to stop
    ranked: tuple[int, ...]
    watched: tuple[tuple[int, tuple[str, ...]], ...]


class StreamProcessor(LogitsProcessor):  # type: ignore[misc]  # vLLM is not there to check
    """Draws each row's token from its stream; ignores requests that are not ours."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:  # noqa: ARG002
        self._config = ProcessorConfig.unpacked(vllm_config.additional_config)
        self._device = str(device)
        self._rows: dict[int, _Row] = {}
        self._columns: _Columns | None = None
        self._ends, self._delimiter = frozenset(self._config.ends), self._config.delimiter.encode()
        self._by_byte: dict[int, frozenset[int]] = {}
        self._by_limits: dict[tuple[tuple[int, ...], bool, bytes], frozenset[int]] = {}
        self._alike: tuple[Sampling, SamplingColumns] | None = None

    def is_argmax_invariant(self) -> bool:
        """No: it decides what the greedy sampler takes."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follows requests that are added, removed and moved."""
        if batch_update is None:
            return
        rows = self._rows
        for place in batch_update.removed:
            rows.pop(place, None)
        for place, params, prompt, drawn in batch_update.added:
            rows.pop(place, None)
            row = self._opened(params, prompt, drawn)
            if row is not None:
                rows[place] = row
        for source, target, direction in batch_update.moved:
            one, other = rows.pop(source, None), rows.pop(target, None)
            if one is not None:
                rows[target] = one
            if other is not None and direction == MoveDirectionality.SWAP:
                rows[source] = other
        self._columns = None

    def apply(self, logits: Tensor) -> Tensor:
        """Logits [rows, vocabulary] with one finite token in each of our rows."""
        if not self._rows:
            return logits
        columns = self._columns
        if columns is None:
            columns = self._columns = self._ordered(logits)
        known = logits[:, : self._config.vocabulary]
        raw = known if columns.places is None else known[columns.places]
        tokens, values = self._drawn(columns, raw)
        written = torch.full(
            (len(columns.rows), logits.shape[1]), -torch.inf, dtype=logits.dtype, device=raw.device
        )
        written.scatter_(1, tokens, values)
        if columns.places is None:
            return written
        logits[columns.places] = written
        return logits

    def _drawn(self, columns: _Columns, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Ids [rows, written] and the values to write there: the drawn token first."""
        rows = columns.rows
        stopped, forbidden = [], {}
        errors: dict[int, float] = {}
        for number, row in columns.followed:
            try:
                if row.stops():
                    stopped.append(number)
                elif row.choosy and row.criteria and (banned := row.criteria.forbidden()):
                    forbidden[number] = banned
            except EngineError:  # raised here, it would end vLLM for all requests
                errors[number] = NOTHING_ALLOWED
        places = [(row.key, row.first + len(row.drawn)) for row in rows]
        seeds = torch.from_numpy(position_seeds(places)).to(raw.device)
        drawn = draws(raw, columns.settings, seeds, forbidden)
        best, tokens, values = drawn.scores, drawn.tokens, drawn.logprobs[:, None]
        for number in columns.ranked:
            row = rows[number]
            if number in errors or row.request.first_rank is None or row.drawn:
                continue
            numbers, bans = raw[number].tolist(), forbidden.get(number, ())
            try:
                tokens[number] = ranked(numbers, row.request.first_rank, bans, row.request.sampling)
            except EngineError:
                errors[number] = RANK_TOO_HIGH + raw.shape[1] - len(bans)
            else:
                values[number] = log_probabilities(raw[[number]])[0, int(tokens[number])]
        for number in forbidden:
            if number not in errors and best[number] == -torch.inf:
                errors[number] = NOTHING_ALLOWED
        for number, error in errors.items():
            values[number], rows[number].failed = error, True
        if stopped:
            tokens[stopped], values[stopped] = self._config.stop, 0.0
        listed = values[:, 0].tolist()
        broken = [number for number, value in enumerate(listed) if isnan(value)]
        if broken:
            tokens[broken], values[broken] = self._config.stop, NO_NUMBERS
        for row, value in zip(rows, values[:, 0].tolist() if broken else listed, strict=True):
            row.note(value)
        # A NaN among the values would be drawn instead of the token.
        watched = [(number, names) for number, names in columns.watched if number not in broken]
        if not watched:
            return tokens[:, None], values.float()
        log_probs = torch.log_softmax(raw.double(), dim=-1)
        return self._with_statistics(watched, log_probs, tokens[:, None], values)

    def _with_statistics(
        self,
        watched: Sequence[tuple[int, tuple[str, ...]]],
        log_probs: Tensor,
        tokens: Tensor,
        values: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Statistics go to the ids after the token; rows without any write -inf there."""
        names = {name: None for _, wanted in watched for name in wanted}
        width = max(len(wanted) for _, wanted in watched)
        all_values = {name: statistic_value(statistic(log_probs, name)) for name in names}
        extra = torch.full((values.shape[0], width), -torch.inf).to(values)
        for number, wanted in watched:
            for place, name in enumerate(wanted):
                extra[number, place] = all_values[name][number]
        offsets = torch.arange(1, width + 1, device=tokens.device)
        ids = torch.cat([tokens, (tokens + offsets) % self._config.vocabulary], dim=1)
        return ids, torch.cat([values, extra], dim=1).float()

    def _ordered(self, logits: Tensor) -> _Columns:
        numbers = sorted(self._rows)
        rows = tuple(self._rows[number] for number in numbers)
        places = None
        if len(rows) != logits.shape[0]:
            places = torch.tensor(numbers, dtype=torch.int64, device=self._device)
        return _Columns(
            rows,
            places,
            self._settings(rows, logits),
            tuple(
                (n, row)
                for n, row in enumerate(rows)
                if row.criteria is not None or row.request.first_rank is not None
            ),
            tuple(n for n, row in enumerate(rows) if row.request.first_rank is not None),
            tuple(
                (n, row.request.statistics) for n, row in enumerate(rows) if row.request.statistics
            ),
        )

    def _settings(self, rows: Sequence[_Row], like: Tensor) -> SamplingColumns:
        first = rows[0].request.sampling
        if not all(row.request.sampling is first for row in rows):
            return SamplingColumns.of([row.request.sampling for row in rows], like)
        if self._alike is None or self._alike[0] is not first:
            self._alike = first, SamplingColumns.of([first], like)
        return self._alike[1]

    def _opened(
        self,
        params: SamplingParams,
        prompt: list[int] | None,
        drawn: list[int],
    ) -> _Row | None:
        request = unpacked(params.extra_args, prompt or ())
        if request is None:
            return None
        criteria, telling = None, frozenset[int]()
        if followed(request.limits):
            plain = replace(request, statistics=()) if request.statistics else request
            criteria = StopCriteria(plain, self._tokenizer, self._ends, self._delimiter)
            telling = self._telling(request.limits)
        return _Row(request, drawn, criteria, values_in(params.extra_args), telling)

    def _telling(self, limits: Limits) -> frozenset[int]:
        """Tokens that may complete what stops a request."""
        last = (limits.thought[-1:], bool(limits.steps), limits.stop_at[-1:])
        if last not in self._by_limits:
            telling = frozenset(limits.thought[-1:])
            if limits.steps:
                telling |= self._with_byte(self._delimiter[-1])
            if limits.stop_at:
                telling |= self._with_byte(limits.stop_at[-1])
            self._by_limits[last] = telling
        return self._by_limits[last]

    def _with_byte(self, byte: int) -> frozenset[int]:
        """Tokens with this byte in them."""
        if byte not in self._by_byte:
            pieces = enumerate(self._tokenizer.pieces)
            self._by_byte[byte] = frozenset(token for token, piece in pieces if byte in piece)
        return self._by_byte[byte]

    @cached_property
    def _tokenizer(self) -> HuggingFaceTokenizer:
        return HuggingFaceTokenizer(Path(self._config.folder), self._config.visible)
