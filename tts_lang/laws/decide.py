"""Decides laws: by normal forms first, then by random models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tts_lang.check.file import CheckedLaw
from tts_lang.laws.conditions import conditions
from tts_lang.laws.normal_form import NormalForm, normalise, same
from tts_lang.laws.search import CounterexampleSearch, LawError, find_search
from tts_lang.laws.sizes import LONGEST, longest_text, runnable, scaled
from tts_lang.laws.statements import Pair, instances, title
from tts_lang.laws.verdicts import Instance, Judgement, SearchResult, Verdict
from tts_lang.plan.graph import Plan, operations

DEFAULT_TRIALS = 200
#: Every instance of a law is run so often at least, if as many trials are wanted.
_FEWEST = 10
#: Runs of a law that is proved on a condition: they tell whether it ever holds.
_TRIED = 8
#: Operations in all trials of a law, about.
_WORK = 10_000
#: Operations of a plan that is rewritten.
_LONGEST = 1_000


@dataclass(slots=True)
class LawChecker:
    """Decides whether plans are equal.

    Args:
        trials: How many random runs a law that is not proved has to survive, over its instances.
        seed: Which random runs.
        only: One trial alone, to replay it; proofs do not count then.
        search: Runs them; by default the installed one, looked up when needed.
    """

    trials: int = DEFAULT_TRIALS
    seed: int = 0
    only: int | None = None
    search: CounterexampleSearch | None = field(default=None)

    def law(self, law: CheckedLaw, place: str) -> Judgement:
        """A law of a file.

        Raises:
            DiagnosticError: It has no free names and does not compile.
            LawError: It compiles at no small values of its free names, or no search is installed.
        """
        pairs: list[Pair] = []
        left_out: list[str] = []
        for instance in instances(law):
            if isinstance(instance, Pair):
                pairs.append(instance)
            else:
                left_out.append(instance)
        if not pairs:
            raise LawError(
                f"{place}: law {title(law)}: its strategies compile at no small values of "
                f"{', '.join(law.free_names)}; give them values that fit"
            )
        names = (law.left.strategy, law.right.strategy)
        judged = tuple(self._instances(pairs))
        return Judgement(title(law), place, names, judged, tuple(left_out))

    def plans(self, left: Plan, right: Plan, names: tuple[str, str]) -> Judgement:
        """Two plans."""
        judged = tuple(self._instances([Pair({}, left, right)]))
        return Judgement(f"{names[0]} == {names[1]}", "", names, judged)

    def _instances(self, pairs: list[Pair]) -> Iterator[Instance]:
        forms = [_forms(pair) for pair in pairs]
        proved = [both is not None and same(*both) and self.only is None for both in forms]
        open_ = len(pairs) - sum(proved)
        share = max(min(_FEWEST, self.trials), -(-self.trials // max(1, open_)))
        for pair, both, equal in zip(pairs, forms, proved, strict=True):
            if equal:
                yield self._proved(pair, both)
                continue
            trials = range(share) if self.only is None else range(self.only, self.only + 1)
            if self.only is None:
                longest = max(_length(pair.left), _length(pair.right))
                trials = trials[: max(_FEWEST, _WORK // (longest + 1))]
            hunt, scaled = self._hunt(pair, trials)
            refuted = hunt.counterexample is not None and not scaled
            verdict = Verdict.REFUTED if refuted else Verdict.UNREFUTED
            yield Instance(pair.values, verdict, both, hunt, scaled)
            if refuted:
                return

    def _hunt(self, pair: Pair, trials: range) -> tuple[SearchResult, tuple[str, ...]]:
        """The result of random runs; strategies that are too large to run are scaled down."""
        if self.search is None:
            self.search = find_search()
        left, right = pair.left, pair.right
        words: tuple[str, ...] = ()
        if not (runnable(left) and runnable(right)):
            smaller = scaled(left, right)
            if smaller is None or not (runnable(smaller[0]) and runnable(smaller[1])):
                raise LawError(
                    f"{left.strategy} and {right.strategy} are too large to be run, and not "
                    "proved: give them fewer candidates and rounds with `--set`"
                )
            left, right, words = smaller
        hunt = self.search(left, right, trials=trials, seed=self.seed)
        if not words and hunt.counterexample is None and longest_text(left, right) > LONGEST:
            # No text of a trial is that long, so smaller strategies stand for these.
            smaller = scaled(left, right)
            assert smaller is not None
            other = self.search(*smaller[:2], trials=trials, seed=self.seed)
            if other.counterexample is not None:
                return replace(hunt, counterexample=other.counterexample), smaller[2]
        return hunt, words

    def _proved(self, pair: Pair, forms: tuple[NormalForm, NormalForm] | None) -> Instance:
        """A proof, with the conditions that it assumes."""
        needed = [
            (plan.strategy, each) for plan in (pair.left, pair.right) for each in conditions(plan)
        ]
        words = tuple(dict.fromkeys(each.text for _, each in needed))
        never = [
            f"{name} fails in every run, since it is never true that {each.text}"
            for name, each in needed
            if each.never
        ]
        empty = never[0] if never else ""
        hunt = None
        if needed and not empty:
            try:
                hunt, _ = self._hunt(pair, range(_TRIED))
            except LawError:  # nothing to run it with, or too large: the condition stands
                hunt = None
            if hunt is not None and not hunt.trials:
                empty = f"all of {hunt.failed} random runs failed: {hunt.error}"
        return Instance(pair.values, Verdict.PROVED, forms, None, (), words, empty)


def _length(plan: Plan) -> int:
    """Operations as they are written."""
    return sum(1 for _ in operations(plan.body))


def _forms(pair: Pair) -> tuple[NormalForm, NormalForm] | None:
    """Both normal forms; nothing where a plan is too long to be rewritten in a moment."""
    if max(map(_length, (pair.left, pair.right))) > _LONGEST:
        return None
    return normalise(pair.left), normalise(pair.right)


def check_laws(
    laws: Iterable[CheckedLaw], path: Path | str, text: str, judge: LawChecker
) -> list[Judgement]:
    """Every law of a file, in order; `text` is the file's, for line numbers.

    Raises:
        DiagnosticError, LawError: A law cannot be decided.
    """
    return [judge.law(law, f"{path}:{text.count(chr(10), 0, law.span.start) + 1}") for law in laws]
