"""s1's ways to control how long a policy thinks, to the letter of the project's notes on them."""

from __future__ import annotations

from tests.support.published.asking import ask
from tests.support.published.lab import Lab
from tests.support.published.path import END, How, Path
from tests.support.published.worlds import published
from tts_runtime.randomness import draw_key, row_lane
from tts_runtime.streams import uniform


def think(lab: Lab, path: Path, within: int | None = None, at_least: int = 0) -> Path:
    """Continues until the end-of-thinking delimiter, which is left out, or a limit; greedy."""
    how: How = {"thought": True, "temperature": 0, "within": within, "at_least": at_least}
    return lab.sample(path, **how)[0]


def conclude(lab: Lab, thought: Path) -> Path:
    """Ends the thinking and answers. Muennighoff et al. (2025), s1, section 3.1.

    Cap hit: a newline if the text lacks one, the delimiter, a newline and `Final Answer:`; else the
    delimiter alone. Then the answer is generated. simplescaling/s1, vllm_causallms.py,
    `thinking_end_max`.
    """
    if thought.finish == "length":
        if not thought.text.endswith("\n"):
            thought = lab.force(thought, "\n")
        thought = lab.force(thought, END + "\nFinal Answer:")
    else:
        thought = lab.force(thought, END)
    return lab.sample(thought, temperature=0)[0]


@published
def budget_forcing_maximum(lab: Lab, budget: int = 32_000) -> Path:
    """Think until the delimiter or for `budget` tokens. s1, section 3.1."""
    return conclude(lab, think(lab, lab.thinking, within=budget))


def _wait(lab: Lab, waits: int, budget: int | None) -> Path:
    """Drop the delimiter, append the ids of `Wait`, continue by at least one token; `waits` times.

    The budget is that of the whole path; a round that hits the cap ends the thinking. A policy that
    ends its text instead of its thought gets its `Wait`, too: s1 stops at both tokens.
    """
    thought = think(lab, lab.thinking, within=budget)
    for _ in range(waits):
        if thought.finish == "length":
            break
        thought = think(lab, lab.force(thought, "Wait"), within=budget, at_least=1)
    return thought


@published
def budget_forcing(lab: Lab, waits: int = 2, budget: int = 32_000) -> Path:
    """Minimum and maximum together. s1, section 3.1."""
    return conclude(lab, _wait(lab, waits, budget))


@published
def budget_forcing_minimum(lab: Lab, waits: int = 2) -> Path:
    """`Wait` without a cap; afterwards the thought is ended for it. s1, section 3.1."""
    return conclude(lab, _wait(lab, waits, None))


@published
def greedy_thinking(lab: Lab) -> Path:
    """No intervention. s1, section 4.1."""
    return lab.sample(think(lab, lab.thinking), temperature=0)[0]


@published
def answer_now(lab: Lab) -> Path:
    """An empty thought, ended at once. Ma et al. (2025), NoThinking, section 2."""
    ended = lab.force(lab.thinking, END)
    return lab.sample(ended, temperature=0)[0]


def _asked(
    lab: Lab, prompt: str, shown: dict[str, str], within: int | None = None, stop_at: str = ""
) -> Path:
    how: How = {"thought": True, "temperature": 0, "within": within, "stop_at": stop_at}
    return ask(lab, prompt, lab.thinking, shown=shown, thinks=True, **how)[0]


@published
def token_conditional(lab: Lab, limit: int = 2048) -> Path:
    """`Think for up to {n} tokens.` in the prompt. s1, section 3.1."""
    thought = _asked(lab, "think_up_to", {"limit": str(limit)})
    return lab.sample(thought, temperature=0)[0]


@published
def token_conditional_forced(lab: Lab, limit: int = 2048) -> Path:
    """The same with budget forcing at the limit. s1, table 3."""
    return conclude(lab, _asked(lab, "think_up_to", {"limit": str(limit)}, within=limit))


@published
def step_conditional(lab: Lab, limit: int = 16) -> Path:
    """`Think for up to {n} steps.` in the prompt. s1, section 3.1."""
    thought = _asked(lab, "think_steps", {"limit": str(limit)})
    return lab.sample(thought, temperature=0)[0]


@published
def step_conditional_forced(lab: Lab, limit: int = 16, zero: str = "<|im_start|>0") -> Path:
    """The same, the thinking stopped where the countdown arrives. s1, table 3."""
    return conclude(lab, _asked(lab, "think_steps", {"limit": str(limit)}, stop_at=zero))


@published
def class_conditional(lab: Lab, amount: str = "think_long") -> Path:
    """A sentence that asks for much or little thinking. s1, section 3.1."""
    return lab.sample(_asked(lab, amount, {}), temperature=0)[0]


@published
def think_deeper(lab: Lab, shortest: int = 512, longest: int = 2048, phrases: int = 4) -> Path:
    """optillm's thinkdeeper: an early end becomes a phrase that continues, drawn at random.

    So does an end of the text before the thought has ended, whatever its length.
    It samples; the answer is forced as in s1.
    """
    thought = lab.sample(lab.thinking, thought=True, within=longest)[0]
    start = lab.thinking
    lane = row_lane(start.key, 0, 0)
    for phrase in range(phrases):
        if thought.finish == "length":
            break
        if thought.finish == "stop" and thought.tokens >= shortest:
            break
        toss = uniform(draw_key(lab.root, lane, phrase))
        thought = lab.force(thought, "Wait," if toss < 0.5 else "Alternatively,")
        thought = lab.sample(thought, thought=True, within=longest, at_least=1)[0]
    return conclude(lab.again(), thought)


@published
def early_answer(lab: Lab, chunk: int = 64, stable: int = 2, checks: int = 64) -> Path:
    """Every `chunk` tokens an answer is forced aside; a stable one ends the thinking.

    Fu et al. (2024), Certaindex, section 3. A probe is greedy and short, and leaves no trace.
    """
    thought = lab.thinking
    guess: str | None = ""
    repeated = 0
    for _ in range(checks):
        if thought.done or repeated >= stable:
            break
        thought = lab.sample(thought, thought=True, most=chunk)[0]
        probe = lab.sample(lab.force(thought, END + "Final Answer:"), most=32, temperature=0)[0]
        told = lab.answer(probe)
        repeated = repeated + 1 if told is not None and told == guess else 0
        guess = told
    return lab.sample(lab.force(thought, END + "Final Answer:"))[0]


@published
def thought_switching_penalty(
    lab: Lab, word: str = "Alternatively", penalty: float = 3, span: int = 600, most: int = 50
) -> Path:
    """z - alpha for words that switch, in the first beta tokens of a thought. TIP, section 4."""
    trace = lab.thinking
    for _ in range(most):
        if trace.done:
            break
        early = (word, float(penalty))
        trace = lab.sample(trace, thought=True, most=span, stop_at=word, avoiding=early)[0]
        if trace.finish == "length":
            trace = lab.sample(trace, thought=True, stop_at=word)[0]
        if not trace.written.endswith(word):
            break
    return lab.sample(lab.force(trace, END))[0]
