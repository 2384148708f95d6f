"""Decides laws: by normal forms first, then by hunting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tts_lang.check.file import CheckedLaw
from tts_lang.laws.hunting import Hunter, LawError, find_hunter
from tts_lang.laws.normal_form import normalise, same
from tts_lang.laws.statements import Pair, instances, title
from tts_lang.laws.verdicts import Instance, Judgement, Verdict
from tts_lang.plan.graph import Plan

DEFAULT_TRIALS = 200
#: Every instance of a law is run so often at least.
_FEWEST = 10


@dataclass(slots=True)
class Judge:
    """Decides whether plans are equal.

    Args:
        trials: How many random runs a law that is not proved has to survive, over its instances.
        seed: Which random runs.
        only: One trial alone, to replay it; proofs do not count then.
        hunter: What runs them; by default the one that is installed, looked for when needed.
    """

    trials: int = DEFAULT_TRIALS
    seed: int = 0
    only: int | None = None
    hunter: Hunter | None = field(default=None)

    def law(self, law: CheckedLaw, place: str) -> Judgement:
        """A law of a file.

        Raises:
            DiagnosticError: It has no free names and does not compile.
            LawError: It compiles at no small values of its free names, or nothing can hunt.
        """
        pairs: list[Pair] = []
        left_out: list[str] = []
        for found in instances(law):
            if isinstance(found, Pair):
                pairs.append(found)
            else:
                left_out.append(found)
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
        forms = [(normalise(pair.left), normalise(pair.right)) for pair in pairs]
        proved = [same(*both) and self.only is None for both in forms]
        open_ = len(pairs) - sum(proved)
        share = max(_FEWEST, -(-self.trials // max(1, open_)))
        for pair, both, equal in zip(pairs, forms, proved, strict=True):
            if equal:
                yield Instance(pair.values, Verdict.PROVED, both)
                continue
            if self.hunter is None:
                self.hunter = find_hunter()
            trials = range(share) if self.only is None else range(self.only, self.only + 1)
            hunt = self.hunter(pair.left, pair.right, trials=trials, seed=self.seed)
            refuted = hunt.counterexample is not None
            verdict = Verdict.REFUTED if refuted else Verdict.UNREFUTED
            yield Instance(pair.values, verdict, both, hunt)
            if refuted:
                return


def judge_laws(
    laws: Iterable[CheckedLaw], path: Path | str, text: str, judge: Judge
) -> list[Judgement]:
    """Every law of a file, in order; `text` is the file's, for line numbers.

    Raises:
        DiagnosticError, LawError: A law cannot be decided.
    """
    return [judge.law(law, f"{path}:{text.count(chr(10), 0, law.span.start) + 1}") for law in laws]
