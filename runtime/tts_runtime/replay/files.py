"""Samples in files of others: search-and-learn's completions, crucible's recordings.

* A row per problem with a list of `completions`, their `scores` (per step, or one each) and
  `completion_tokens`: what search-and-learn (Hugging Face) writes, as JSONL, JSON or Parquet.
* A JSON object with `meta` and `records`, each with `traces`: what crucible-ttc records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tts_lang.readers import parse_json
from tts_lang.values import LARGEST
from tts_runtime.binding import Binding, Defaults
from tts_runtime.engines.base import EngineError, Finish
from tts_runtime.problems.fields import FieldNames, problem_of
from tts_runtime.problems.model import BadRowError, Problem, ProblemFileError, Trial
from tts_runtime.problems.rows import contents, rows_of
from tts_runtime.replay.options import ReplayOptions
from tts_runtime.replay.samples import (
    MISSING,
    ROOM,
    Place,
    Recorded,
    Score,
    ScoredText,
    ScorerAbout,
)
from tts_runtime.tokens import split_text

#: The name of a file's scores: most strategies call their PRM so.
PRM: Final = "prm"
_COMPLETIONS: Final = ("completions", "samples", "responses", "generations")
#: Columns about the completions, which are no fields of the problem.
_ABOUT: Final = ("scores", "completion_tokens", "pred", "agg_scores")


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One solution; `tokens` are counted if the file does not say how many there are."""

    text: str
    tokens: int
    scores: Score = None


@dataclass(frozen=True, slots=True)
class RecordedProblem:
    """The samples of one problem."""

    problem: Problem
    samples: Sequence[RecordedSample]


@dataclass(slots=True)
class SampleFile:
    """One file. What it does not say is `None`; `counted`: tokens are estimates."""

    path: Path
    problems: list[RecordedProblem] = field(default_factory=list)
    seed: int | None = None
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    reduced: str | None = None
    counted: bool = False


def read_samples(path: Path) -> SampleFile:
    """The samples of a file.

    Raises:
        EngineError: It cannot be read, or holds none; the message says what is wrong.
    """
    try:
        data = contents(path)
        value = _object(data)
        if value is not None and isinstance(value.get("records"), list | dict):
            return _recording(path, value)
        return _rows(path)
    except ProblemFileError as error:
        raise EngineError(str(error).replace("problems from", "samples from")) from error
    except BadRowError as error:
        raise EngineError(f"cannot read samples from {path}: {error}") from error


def _object(data: bytes) -> dict[str, Any] | None:
    """A file that is one JSON object."""
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        value = parse_json(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


# ------------------------------------------------------------------------------ rows


def _rows(path: Path) -> SampleFile:
    samples = SampleFile(path)
    for row in rows_of(path).rows:
        if isinstance(row.fields, BadRowError):
            raise BadRowError(f"line {row.number}: {row.fields}")
        assert isinstance(row.fields, Mapping)
        try:
            sampled, counted = _row(row.fields, f"line-{row.number}")
        except BadRowError as error:
            raise BadRowError(f"line {row.number}: {error}") from error
        samples.problems.append(sampled)
        samples.counted |= counted
    if not samples.problems:
        raise BadRowError("it has no lines")
    return samples


def _row(row: Mapping[str, Any], default_id: str) -> tuple[RecordedProblem, bool]:
    name = next((each for each in _COMPLETIONS if isinstance(row.get(each), list)), None)
    if name is None:
        there = ", ".join(list(row)[:12]) or "none"
        raise BadRowError(
            f"no list `completions`; the fields are {there}. A record is a run directory of "
            "tts-run, or JSONL with `problem`, `answer`, `completions`, `scores`"
        )
    texts: list[Any] = row[name]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BadRowError(f"`{name}` must be a list of texts, not empty")
    scores = _listed(row, "scores", len(texts))
    tokens = _listed(row, "completion_tokens", len(texts))
    # search-and-learn's searches leave -1 or 0 where nothing was counted.
    counted = tokens is not None and all(_positive(each) for each in tokens)
    samples = [
        RecordedSample(
            text,
            tokens[at] if counted and tokens is not None else max(1, len(split_text(text))),
            None if scores is None else _score(scores[at]),
        )
        for at, text in enumerate(texts)
    ]
    fields = {key: row[key] for key in row if key not in (name, *_ABOUT) and "@" not in key}
    return RecordedProblem(problem_of(fields, default_id, FieldNames()), samples), not counted


def _listed(row: Mapping[str, Any], name: str, many: int) -> list[Any] | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != many:
        actual = f"{len(value)}" if isinstance(value, list) else repr(value)[:40]
        raise BadRowError(f"`{name}` must have one entry per completion ({many}), found {actual}")
    return value


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _score(value: object) -> Score:
    if isinstance(value, list):
        return tuple(_number(each) for each in value)
    return _number(value)


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRowError(f"a score must be a number, found {value!r:.40}")
    return float(value) if abs(value) <= LARGEST else None


# ------------------------------------------------------------------------------ crucible


def _recording(path: Path, value: dict[str, Any]) -> SampleFile:
    """A recording of crucible-ttc: samples of solutions."""
    records = value["records"]
    if isinstance(records, dict):
        raise BadRowError("it holds scores without their samples")
    if not records:
        raise BadRowError(
            "its `records` are empty: it holds the steps of a search, and a replay needs solutions"
        )
    meta = value.get("meta")
    about = [meta] if isinstance(meta, dict) else []
    parts = about[0].get("parts") if about else None
    about += [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []

    def stated(fits: Callable[[Any], bool], *names: str) -> Any:
        """The value that the file or all its parts state."""
        values = [each[name] for each in about for name in names if each.get(name) is not None]
        wrong = next((each for each in values if not fits(each)), None)
        if wrong is not None:
            raise BadRowError(f"`{names[0]}` of its `meta` cannot be {wrong!r:.40}")
        return values[0] if values and all(each == values[0] for each in values) else None

    seed = stated(lambda _: True, "seed")
    return SampleFile(
        path,
        [_recorded(record) for record in records],
        seed if isinstance(seed, int) else None,
        stated(_text, "model", "policy"),
        stated(lambda each: isinstance(each, int | float) and each >= 0, "temperature"),
        stated(_positive, "max_tokens"),
        stated(_text, "prm_aggregate"),
    )


def _text(value: object) -> bool:
    return isinstance(value, str)


def _recorded(record: object) -> RecordedProblem:
    if not isinstance(record, dict) or not isinstance(record.get("traces"), list):
        raise BadRowError("a record must be an object with `traces`")
    about = record.get("problem")
    about = about if isinstance(about, dict) else record
    id_ = about.get("problem_id", about.get("id"))
    if not isinstance(id_, str) or not id_:
        raise BadRowError("a record without an id")
    text = about.get("prompt")
    fields = {key: about[key] for key in ("difficulty", "level", "subject") if key in about}
    if not isinstance(text, str):
        text = f"(problem {id_}: the record does not have its text)"
        fields[MISSING] = True
    gold = about.get("gold", about.get("answer"))
    problem = Problem(id_, text, None if gold is None else str(gold), MappingProxyType(fields))
    try:
        samples = [_trace(trace) for trace in record["traces"]]
    except BadRowError as error:
        raise BadRowError(f"problem {id_}: {error}") from error
    if not samples:
        raise BadRowError(f"problem {id_} has no traces")
    return RecordedProblem(problem, samples)


def _trace(trace: object) -> RecordedSample:
    if not isinstance(trace, dict):
        raise BadRowError("a trace must be an object")
    text, tokens = trace.get("text"), trace.get("tokens")
    steps = trace.get("steps")
    if text is None and isinstance(steps, list):
        text = "\n\n".join(str(step.get("text", "")) for step in steps if isinstance(step, dict))
        compute = trace.get("compute")
        tokens = compute.get("policy_gen_tokens") if isinstance(compute, dict) else None
    if not isinstance(text, str):
        raise BadRowError("a trace needs a `text`, or `steps` with texts")
    if not _positive(tokens):
        raise BadRowError(f"a trace needs the number of its `tokens`, found {tokens!r:.20}")
    assert isinstance(tokens, int)
    return RecordedSample(text, tokens, _number(trace.get("prm_score")))


# ------------------------------------------------------------------------------ records


class RecordedFiles(Recorded):
    """Files of one model's samples, each under a seed of its own where their problems meet.

    Raises:
        EngineError: They are of different models, or say that they have one seed.
    """

    def __init__(self, name: str, files: Sequence[SampleFile], options: ReplayOptions) -> None:
        self.name = name
        self.flat = True
        self.card = None
        _agree(files, "model", [each.model for each in files])
        temperature = _agree(files, "temperature", [each.temperature for each in files])
        limit = _agree(files, "limit of tokens", [each.max_tokens for each in files])
        temperature = _stated(name, "temperature", temperature, options.temperature)
        self.limit = _stated(name, "max_tokens", limit, options.max_tokens)
        self._clauses: dict[str, Any] = {"unit": "solutions"}
        if temperature is not None:
            self._clauses["temperature"] = temperature
        self.binding = Binding(
            name=next((each.model for each in files if each.model), "recorded"),
            context=ROOM,
            step_delimiter=options.delimiter,
            defaults=Defaults(temperature=1.0 if temperature is None else temperature),
        )
        self._problems: dict[str, Problem] = {}
        self._sampled: dict[Trial, Sequence[RecordedSample]] = {}
        self._scores: dict[str, dict[str, ScoredText]] = {}
        for file in files:
            for each in file.problems:
                self._add(file, each)
        self.problems = list(self._problems.values())
        reduced = _agree(files, "reduction of scores", [each.reduced for each in files])
        self.scorers = _scorers(files, reduced)

    def _add(self, file: SampleFile, sampled: RecordedProblem) -> None:
        problem = sampled.problem
        before = self._problems.setdefault(problem.id, problem)
        if (before.text, before.answer) != (problem.text, problem.answer):
            raise EngineError(
                f"{self.name}: problem {problem.id} has another text or answer in {file.path}"
            )
        seed = 0 if file.seed is None else file.seed
        while (trial := Trial(problem.id, seed)) in self._sampled:
            if file.seed is not None:
                raise EngineError(
                    f"{self.name}: two files hold problem {problem.id} under seed {seed}, the "
                    f"second is {file.path}"
                )
            seed += 1
        self._sampled[trial] = sampled.samples
        scores = self._scores.setdefault(problem.text, {})
        for sample in sampled.samples:
            if sample.scores is not None:
                scores[sample.text] = ScoredText({PRM: sample.scores}, sample.tokens)

    @property
    def trials(self) -> Sequence[Trial]:
        """In the order of the files."""
        return list(self._sampled)

    def root(self, trial: Trial) -> Place:
        """The samples of a problem."""
        root = Place()
        for number, sample in enumerate(self._sampled[trial]):
            cut = self.limit is not None and sample.tokens >= self.limit
            drawn = Place(
                root,
                text=sample.text,
                count=sample.tokens,
                drawn=sample.tokens,
                finish=Finish.LENGTH if cut else Finish.END,
                done=not cut,
                clauses=self._clauses,
            )
            root.children[number] = [drawn]
        return root

    def scores(self, problem: str) -> Mapping[str, ScoredText]:
        """Of the samples under all seeds."""
        return self._scores.get(problem, {})

    @property
    def temperatures(self) -> frozenset[float]:
        """One, or none that is known."""
        temperature = self._clauses.get("temperature")
        return frozenset() if temperature is None else frozenset({temperature})

    @property
    def most(self) -> int:
        """Samples of the problem that has most of them."""
        return max(map(len, self._sampled.values()))

    @property
    def forced(self) -> Mapping[str, int]:
        """Nothing; what stands for a missing text counts as one token."""
        return {each.text: 1 for each in self.problems if MISSING in each.fields}


def _agree(files: Sequence[SampleFile], what: str, values: Sequence[Any]) -> Any:
    """The one value that files state."""
    stated = {
        value: file.path for file, value in zip(files, values, strict=True) if value is not None
    }
    if len(stated) > 1:
        (first, one), (second, other) = list(stated.items())[:2]
        raise EngineError(
            f"{one} has the {what} {first}, {other} has {second}: a record is of one model and one "
            "way of sampling, so name the files that belong together, `replay:FOLDER/PATTERN*.json`"
        )
    return next(iter(stated), None)


def _stated(name: str, what: str, of_file: Any, of_option: Any) -> Any:
    if None not in (of_file, of_option) and of_file != of_option:
        raise EngineError(f"{name} says {what}={of_file}, so it cannot be {of_option}")
    return of_option if of_file is None else of_file


def _scorers(files: Sequence[SampleFile], reduced: str | None) -> Mapping[str, ScorerAbout]:
    scores = [
        sample.scores
        for file in files
        for problem in file.problems
        for sample in problem.samples
        if sample.scores is not None
    ]
    if not scores:
        return {}
    single = [not isinstance(each, tuple) for each in scores]
    if any(single) != all(single):
        raise EngineError(f"{files[0].path}: some scores are per step, some per solution")
    numbers = list(_flat(scores))
    low = 0.0 if min(numbers, default=0.0) >= 0 else None
    high = 1.0 if max(numbers, default=0.0) <= 1 else None
    whole = (reduced or "one number") if all(single) else None
    return {PRM: ScorerAbout(True, whole, low, high)}


def _flat(scores: Sequence[Any]) -> Iterator[float]:
    for score in scores:
        for number in score if isinstance(score, tuple) else (score,):
            if number is not None:
                yield number
