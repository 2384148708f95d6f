"""How each family writes a problem and its steps, and at which tokens scores are read.

A path whose text contains one of the family's marks is refused (`CandidateError`), since its ids
would be ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from tts_runtime.engines.base import CandidateError, EngineError, Fault, ScoreRequest
from tts_runtime.engines.hf.chat import ChatTemplate
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.paths import Path


def single(tokenizer: HuggingFaceTokenizer, text: str, family: str) -> int:
    """The one id of a text.

    Raises:
        EngineError: It is several tokens, so the model is not of this family.
    """
    ids = tokenizer.encode(text)
    if len(ids) != 1:
        raise EngineError(
            f"{family}: its tokenizer must write {text!r} as one token, this one takes {len(ids)}: "
            "the model is not of this family"
        )
    return ids[0]


def last(tokenizer: HuggingFaceTokenizer, text: str, family: str) -> int:
    """The last id of a text, which must contain all of it but white space (`▁`, then `▁ки`).

    Raises:
        EngineError: It does not, so the model is not of this family.
    """
    *_, token = tokenizer.encode(text)
    if tokenizer.pieces[token].strip() != text.strip().encode():
        raise EngineError(
            f"{family}: its tokenizer must write {text.strip()!r} as one token, this one does not: "
            "the model is not of this family"
        )
    return token


class PathLayout:
    """Common to all layouts: the tokenizer, and refusing texts that would be misread."""

    def __init__(self, tokenizer: HuggingFaceTokenizer, family: str) -> None:
        self._tokenizer = tokenizer
        self._family = family
        controls = sorted(map(re.escape, tokenizer.controls), key=len, reverse=True)
        self._controls = re.compile("|".join(controls)) if controls else None

    def _check(self, request: ScoreRequest, texts: Iterable[str]) -> None:
        """Refuses control tokens written out in the problem or a step."""
        if self._controls is None:
            return
        for number, text in enumerate((request.problem, *texts)):
            found = self._controls.search(text)
            if found is not None:
                raise self._ambiguous(number, found[0])

    def _ambiguous(self, number: int, mark: str) -> CandidateError:
        place = f"step {number}" if number else "the problem"
        return CandidateError(
            Fault.MARKED,
            f"scorer `{self._family}`: {place} contains {mark!r}, which this scorer reads as one"
            " of its own marks, so its scores would be ambiguous",
        )

    def _changed(self) -> CandidateError:
        words = f"scorer `{self._family}`: the chat template changes the steps"
        return CandidateError(Fault.MARKED, words)

    def _read(self, text: str, ends: Sequence[int], mark: int, *, special: bool) -> Path:
        """The path of a text whose marks end at these characters."""
        ids, found = self._tokenizer.spans(text, special=special)
        by_end = {end: place for place, end in enumerate(found) if ids[place] == mark}
        places = [by_end[end] for end in ends if end in by_end]
        if len(places) != len(ends):
            raise CandidateError(
                Fault.MARKED,
                f"scorer `{self._family}`: the tokenizer merges a mark with the text around it "
                f"({len(ends)} steps, {len(places)} marks)",
            )
        return Path(tuple(ids[: places[-1] + 1]), tuple(places))


class TaggedLayout(PathLayout):
    """`{opening}{step 1}{tag}{between}{step 2}{tag}...`: one tag after every step.

    Args:
        opening: What the steps follow; `{question}` is the problem.
        tag, between: As above.
        mark: The id of the tag's last token, which scores are read at.
        special: The tokenizer's own beginning of sequence stands before the text.
        numbered: Every step begins with `Step N: `; one that it has of its own is replaced.
    """

    _NUMBER = re.compile(r"Step \d+:")

    def __init__(
        self,
        tokenizer: HuggingFaceTokenizer,
        family: str,
        *,
        opening: str,
        tag: str,
        between: str,
        mark: int,
        special: bool,
        numbered: bool = False,
    ) -> None:
        super().__init__(tokenizer, family)
        self._opening, self._tag, self._between = opening, tag, between
        self._mark = mark
        self._special = special
        self._numbered = numbered

    def __call__(self, request: ScoreRequest) -> Path:
        """The ids up to the last tag, and the places of the tags."""
        steps = [step.strip() for step in request.steps]
        self._check(request, steps)
        if self._numbered:
            steps = [
                f"Step {number}: {self._NUMBER.sub('', step, count=1).strip()}"
                if self._NUMBER.match(step)
                else f"Step {number}: {step}"
                for number, step in enumerate(steps, 1)
            ]
        parts = [self._opening.replace("{question}", request.problem)]
        for step in steps:
            parts += [step + self._tag, self._between]
        ends = list(accumulate(map(len, parts)))[1::2]
        path = self._read("".join(parts), ends, self._mark, special=self._special)
        if path.ids.count(self._mark) != len(ends):
            raise self._marked(path, request)
        return path

    def _marked(self, path: Path, request: ScoreRequest) -> CandidateError:
        """The error for a text that holds the tag: names the problem or the step."""
        wrong = next(
            place
            for place, token in enumerate(path.ids)
            if token == self._mark and place not in path.places
        )
        number = sum(place < wrong for place in path.places) + 1
        if number == 1 and self._tag.strip() in request.problem:
            number = 0
        return self._ambiguous(number, self._tag.strip())


class LineLayout(PathLayout):
    """Skywork: `{bos}{question}\\n`, then every line followed by the token of a line break.

    A step is read at the line break that ends its last line.

    Args:
        begin: The beginning of sequence, as text.
        joined: The lines of a step are joined by spaces, so that it is one line.
    """

    def __init__(
        self, tokenizer: HuggingFaceTokenizer, family: str, begin: str, *, joined: bool
    ) -> None:
        super().__init__(tokenizer, family)
        self._begin = begin
        self._joined = joined
        self._line = tokenizer.encode("\n")[-1]

    def __call__(self, request: ScoreRequest) -> Path:
        """The ids, and the places of the line breaks that end steps."""
        steps = [step.strip() for step in request.steps]
        self._check(request, steps)
        ids = [*self._tokenizer.encode(f"{self._begin}{request.problem}\n")]
        places = []
        for step in steps:
            lines = [step.replace("\n", " ")] if self._joined else step.split("\n")
            for line in lines:
                ids += [*self._tokenizer.encode(line), self._line]
            places.append(len(ids) - 1)
        return Path(tuple(ids), tuple(places))


class SeparatedChatLayout(PathLayout):
    """Qwen2.5-Math-PRM: all steps in one reply, `<extra_0>` after each."""

    _SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
    _MARK = "<extra_0>"

    def __init__(
        self, tokenizer: HuggingFaceTokenizer, family: str, template: ChatTemplate
    ) -> None:
        super().__init__(tokenizer, family)
        self._template = template
        self._mark = single(tokenizer, self._MARK, family)

    def __call__(self, request: ScoreRequest) -> Path:
        """The ids up to the last `<extra_0>`, and the places of all of them."""
        steps = [step.strip() for step in request.steps]
        for number, text in enumerate((request.problem, *steps)):
            if self._MARK in text:
                raise self._ambiguous(number, self._MARK)
        self._check(request, steps)
        reply = "".join(step + self._MARK for step in steps)
        messages = [
            {"role": "system", "content": self._SYSTEM},
            {"role": "user", "content": request.problem},
            {"role": "assistant", "content": reply},
        ]
        text = self._template.render(messages, reply=False)
        start = text.rfind(reply)
        if start < 0:
            raise self._changed()
        ends = accumulate((len(step) + len(self._MARK) for step in steps), initial=start)
        return self._read(text, list(ends)[1:], self._mark, special=False)


class TurnsLayout(PathLayout):
    """RLHFlow: a turn per step, answered `+`; read where that answer is predicted."""

    def __init__(
        self, tokenizer: HuggingFaceTokenizer, family: str, template: ChatTemplate
    ) -> None:
        super().__init__(tokenizer, family)
        self._template = template
        self._good = tokenizer.encode("+")[-1]

    def __call__(self, request: ScoreRequest) -> Path:
        """The ids up to the last place, and the places before each `+` of the assistant."""
        steps = [step.strip() for step in request.steps]
        self._check(request, steps)
        asked = [f"{request.problem} {steps[0]}", *steps[1:]]
        messages = [
            message
            for text in asked
            for message in (
                {"role": "user", "content": text},
                {"role": "assistant", "content": "+"},
            )
        ]
        text = self._template.render(messages, reply=False)
        ends, position = [], 0
        for content in asked:
            # Templates may trim a message.
            position = text.find(content.strip(), position)
            if position < 0:
                raise self._changed()
            position = text.index("+", position + len(content.strip())) + 1
            ends.append(position)
        path = self._read(text, ends, self._good, special=False)
        return Path(path.ids[:-1], tuple(place - 1 for place in path.places))


class OutcomeLayout(PathLayout):
    """An outcome reward model: the problem and the whole solution, read at the last token.

    Args:
        template: Writes both as a chat.
        padding: The id of the model's padding, if it has one. Its classifier takes it for padding
            at the end of a text too, where a template ends turns with it, and reads before it.
    """

    def __init__(
        self,
        tokenizer: HuggingFaceTokenizer,
        family: str,
        template: ChatTemplate | None,
        padding: int | None,
    ) -> None:
        super().__init__(tokenizer, family)
        self._template = template
        self._padding = padding

    def __call__(self, request: ScoreRequest) -> Path:
        """The ids and their last place; as a chat where the model has a chat template."""
        solution = request.text.strip()
        self._check(request, [solution])
        if self._template is None:
            ids, _ = self._tokenizer.spans(f"{request.problem}\n{solution}", special=True)
        else:
            messages = [
                {"role": "user", "content": request.problem},
                {"role": "assistant", "content": solution},
            ]
            text = self._template.render(messages, reply=False)
            ids, _ = self._tokenizer.spans(text, special=False)
        while len(ids) > 1 and ids[-1] == self._padding:
            ids.pop()
        return Path(tuple(ids), (len(ids) - 1,))
