"""Graders that are scorers per solution: unit tests (`exec:python`), a function (`python:`)."""

from __future__ import annotations

from tts_runtime.answers.boundary import Grade
from tts_runtime.engines.base import CandidateError, EngineError, ScorerEngine, ScoreRequest
from tts_runtime.graders.base import EXCEPTION, Grader, Submission
from tts_runtime.steps import NOTHING


class ScorerGrader(Grader):
    """Right is the highest score of a scorer's range, wrong is every other, none is not graded.

    Args:
        scorer: Scores one solution at a time; closed with this grader.

    Raises:
        EngineError: It scores steps, or pools.
    """

    needs_gold = False

    def __init__(self, scorer: ScorerEngine) -> None:
        if scorer.steps or not scorer.alone:
            raise EngineError(
                "a grader scores whole solutions, one at a time; this scorer does not"
            )
        self._scorer = scorer
        self._right = 1.0 if scorer.high is None else scorer.high

    async def grade(self, submission: Submission) -> Grade:
        """Asks the scorer about the whole text."""
        problem = submission.problem
        request = ScoreRequest(
            problem.text,
            {**problem.fields, "answer": problem.answer},
            submission.text,
            NOTHING.add(submission.text.encode(), b"\n\n").texts,
            answer=submission.answer,
        )
        try:
            reply = await self._scorer.score(request)
        except CandidateError as error:
            return Grade(None, str(error), error.fault.value)
        except EngineError as error:
            return Grade(None, str(error), EXCEPTION)
        score = reply.scores[0] if reply.scores else None
        if score is None:
            return Grade(None, "the grader gave no score", "no_score")
        return Grade(score >= self._right)

    async def close(self) -> None:
        """Closes the scorer."""
        await self._scorer.close()
