"""A grader that asks a language model whether an answer agrees with the gold answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tts_lang.readers import read_written
from tts_runtime.answers.boundary import Grade
from tts_runtime.answers.judge_replies import final_text
from tts_runtime.engines.base import EngineError, GenerateRequest, Limits, PolicyEngine, Sampling
from tts_runtime.graders.base import NO_VERDICT, Grader, Submission
from tts_runtime.steps import NOTHING
from tts_runtime.streams import child_key, root_key
from tts_runtime.tokens import encode, to_bytes, to_text

#: Slots of a prompt: the problem, its gold answer, the answer, the candidate's whole text.
SLOTS: Final = ("problem", "gold", "answer", "solution")
PROMPT: Final = """\
You compare the answer to a problem with the reference answer.

Problem:
{problem}

Reference answer:
{gold}

Answer to grade:
{answer}

Do both answers say the same, apart from notation and wording? Do not solve the problem again: the \
reference is right. End with one line, `Verdict: correct` or `Verdict: incorrect`."""

#: Tokens that a verdict may take; thinking policies think first.
_REPLY: Final = 4096
#: The first try is greedy; later ones sample, so that they can differ.
_TRIES: Final = 3
_SLOT: Final = re.compile(r"\{([a-z_]+)\}")
_VERDICT: Final = re.compile(
    r"verdict(?:\s+is)?(?:\W|boxed|text(?:bf)?){0,12}(in)?correct\b", re.IGNORECASE
)


class JudgeGrader(Grader):
    """Asks `policy`, greedily first, up to three times.

    Args:
        policy: Closed with this grader.
        prompt: With the slots of `SLOTS`, asking for `Verdict: correct` or `Verdict: incorrect`.

    Raises:
        EngineError: The prompt has an unknown slot, or lacks the answer or the word `Verdict`.
    """

    def __init__(self, policy: PolicyEngine, prompt: str = PROMPT) -> None:
        slots = set(_SLOT.findall(prompt))
        unknown = slots.difference(SLOTS)
        if unknown:
            raise EngineError(
                f"the judge's prompt has an unknown slot {{{min(unknown)}}}; slots are "
                + ", ".join(f"{{{slot}}}" for slot in SLOTS)
            )
        if not slots & {"answer", "solution"} or "verdict" not in prompt.lower():
            raise EngineError(
                "the judge's prompt must show {answer} or {solution}, and ask for a line "
                "`Verdict: correct` or `Verdict: incorrect`"
            )
        self._policy = policy
        self._prompt = prompt

    async def grade(self, submission: Submission) -> Grade:
        """The judge's verdict; a missing answer is wrong without asking."""
        if submission.answer is None:
            return Grade(False)
        parts = {
            "problem": submission.problem.text,
            "gold": submission.problem.answer or "",
            "answer": submission.answer,
            "solution": submission.text,
        }
        message = _SLOT.sub(lambda slot: parts[slot[1]], self._prompt)
        reply = ""
        for number in range(_TRIES):
            reply = await self._reply(submission.problem.id, message, number)
            verdicts = _VERDICT.findall(final_text(reply, self._policy.binding, message))
            if verdicts:
                return Grade(not verdicts[-1])
        return Grade(None, f"the judge gave no verdict: {reply[-200:]!r}", NO_VERDICT)

    async def _reply(self, problem: str, message: str, number: int) -> str:
        policy = self._policy
        prompt = encode(policy.tokenizer, policy.binding.open(message, thinking=False))
        room = policy.binding.context - len(prompt)
        if room < 1:
            raise EngineError(
                f"the question fills the judge's window of {policy.binding.context} tokens"
            )
        request = GenerateRequest(
            prompt,
            (),
            child_key(root_key(0, problem), b"grader", 0, 0, number, b"grader"),
            Sampling(temperature=0.0 if number == 0 else 1.0),
            Limits(min(room, _REPLY)),
            NOTHING,
            logprobs=False,
        )
        generation = await policy.generate(request)
        return to_text(to_bytes(policy.tokenizer, generation.ids))

    async def close(self) -> None:
        """Closes the policy."""
        await self._policy.close()


def prompt_of(path: str) -> str:
    """The text of a prompt's file.

    Raises:
        EngineError: It cannot be read.
    """
    try:
        return read_written(Path(path)).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"the judge's prompt {path} cannot be read: {error}") from error
