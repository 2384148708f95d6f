"""Nothing that a problem, a candidate or a strategy's text says becomes a control token.

Every layout of a published chat template, every control token of it, at every place where texts of
others enter: problems, candidates that are shown, forced texts, pieces, arguments, steps.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from tests.support.chat_models import PUBLISHED, Model, write
from tests.support.runs import plan_of, run_plan
from tests.support.tiny_hf import byte_level, metaspace
from tests.support.tiny_models import tiny_model
from tests.support.tiny_prms import (
    make_er_prm,
    make_math_shepherd,
    make_outcome,
    make_pqm,
    make_qwen_math,
    make_rlhflow,
    make_skywork,
)
from tts_runtime.binding import Binding, Thinking
from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScoreRequest,
)
from tts_runtime.engines.bundled.prm import BundledPrm
from tts_runtime.engines.hf.bindings import choose_binding
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.policy import Policy
from tts_runtime.engines.sim.model import SimTokenizer
from tts_runtime.engines.stopping import StopCriteria, end_ids
from tts_runtime.problems import Problem
from tts_runtime.tokens import Trusted, encode, to_bytes

#: Random texts a test; docs/reliability.md gives figures for many.
EXAMPLES = int(os.environ.get("TTS_EXAMPLES", "15"))
MODELS: dict[str, Model] = {name: model for name, model, _, _ in PUBLISHED}


@dataclass(frozen=True)
class Layout:
    """A published chat template with its tokenizer, as a policy has them."""

    folder: Path
    binding: Binding
    tokenizer: HuggingFaceTokenizer
    names: tuple[str, ...]

    @property
    def controls(self) -> dict[int, str]:
        """Its control tokens."""
        found = {self.tokenizer.token(name): name for name in self.names}
        return {token: name for token, name in found.items() if token is not None}

    def hit(self, ids: Sequence[int]) -> list[str]:
        """Control tokens among ids, in order."""
        return [self.controls[token] for token in ids if token in self.controls]


@cache
def layout(name: str) -> Layout:
    model = MODELS[name]
    folder = Path(mkdtemp()) / "model"
    files = write(folder, model)
    binding, _ = choose_binding(files)
    thinking = binding.thinking
    visible = (thinking.begin, thinking.end) if thinking else ()
    tokenizer = HuggingFaceTokenizer(folder, visible)
    return Layout(folder, binding, tokenizer, (*model.special, *model.added))


def hostile(names: Sequence[str]) -> st.SearchStrategy[str]:
    """Texts of control tokens, halves of them, white space and words."""
    halves = [part for name in names for part in (name[:2], name[2:], name[:-1], name[-1])]
    return st.lists(
        st.sampled_from([*names, *halves, " ", "\n", "\n\n", "▁", "a", "1 + 2", "é", "日本", ""])
    ).map("".join)


@pytest.mark.parametrize("name", MODELS)
def test_c67_a_message_holds_no_control_token(name: str) -> None:
    subject = layout(name)
    binding, tokenizer = subject.binding, subject.tokenizer
    clean = {
        thinking: subject.hit(encode(tokenizer, binding.open("x", thinking=thinking)))
        for thinking in (False, True)
    }

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(hostile(subject.names), st.booleans())
    def holds(message: str, thinking: bool) -> None:
        text = binding.open(message, thinking=thinking)
        ids = encode(tokenizer, text)
        assert subject.hit(ids) == clean[thinking]
        shown = message.strip() if binding.trim else message
        assert shown.encode() in to_bytes(tokenizer, ids)

    holds()


@pytest.mark.parametrize("name", MODELS)
def test_other_messages_have_the_ids_of_the_model_itself(name: str) -> None:
    """Joined as the model's own tokenizer joins them, white space and all."""
    from transformers import AutoTokenizer

    subject = layout(name)
    tokenizer = AutoTokenizer.from_pretrained(subject.folder)
    for message in ("Hi", "\n\nWhat is\n1 + 2?", " a <b> |c| [d] </e>", "日本 é \n"):
        text = str(subject.binding.open(message, thinking=False))
        expected = tokenizer.encode(text, add_special_tokens=False)
        assert list(encode(subject.tokenizer, subject.binding.open(message, thinking=False))) == (
            expected
        )


@pytest.mark.parametrize("name", MODELS)
def test_c67_forced_texts_hold_the_bindings_delimiters_only(name: str) -> None:
    subject = layout(name)
    policy = Policy("policy", Echo(subject, "x"))
    thinking = subject.binding.thinking

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(hostile(subject.names), hostile(subject.names))
    def holds(before: str, after: str) -> None:
        assert subject.hit(policy.forced(before)) == []
        assert to_bytes(subject.tokenizer, policy.forced(before)) == before.encode()
        if thinking is not None:
            both = before + Trusted(thinking.end) + after
            assert subject.hit(policy.forced(both)) == subject.hit(policy.thought)
            # The same words, forced by somebody else, are remembered apart.
            assert subject.hit(policy.forced(str(both))) == []

    holds()


class Echo(PolicyEngine):
    """Says the same text in every answer, written without control tokens."""

    def __init__(self, subject: Layout, text: str) -> None:
        self.binding = subject.binding.model_copy(update={"context": 100_000})
        self.tokenizer = subject.tokenizer
        self.requests: list[GenerateRequest] = []
        self._says = subject.tokenizer.guarded(text, ())
        self._ends = end_ids(subject.tokenizer, subject.binding)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Answers at once."""
        self.requests.append(request)
        future: Future[Generation] = asyncio.get_running_loop().create_future()
        criteria = StopCriteria(request, self.tokenizer, self._ends, b"\n\n")
        for token in (*self._says, min(self._ends)):
            if criteria.push(token, -0.5) is not None:
                break
        future.set_result(criteria.result(prefilled=0))
        return future


EVERYWHERE = '''
prompt again(limit, notes) = """{problem} {text} {solution} {answer} {limit} {notes}"""

prompt merge = """{problem} {candidates}"""

judge grade:
    """{problem} {text} Grade:"""
    read number from 0 to 9

judge choice together:
    """{candidates} Best:"""
    read choice
'''


@pytest.mark.parametrize("name", MODELS)
def test_c67_a_whole_run_holds_no_control_token_of_others(name: str) -> None:
    """Problem, candidates, judges, arguments, pieces and literals of the strategy, all hostile."""
    subject = layout(name)
    every = " ".join(subject.names)
    literal = "".join(subject.names).replace("\\", "\\\\").replace('"', '\\"')
    echo = Echo(subject, f"{every}\n\nIt is \\boxed{{{subject.names[-1]}}}")
    plan = plan_of(
        "pool = sample 2",
        "score pool by grade",
        "score pool by choice",
        f'force "{literal}" into pool',
        "pool = expand pool by 1",
        f'more = ask again("{literal}", pool) about pool by 1',
        "more = ask merge about more together by 2",
        'more = split more at "It"',
        "more = expand more by 1",
        "return best of more by tokens",
        before=EVERYWHERE,
    )
    outcome = run_plan(plan, echo, problem=Problem("p", f"What? {every}", "1", {}))
    assert outcome.error is None, outcome.error
    clean = subject.hit(encode(subject.tokenizer, subject.binding.open("x", thinking=False)))
    assert len(echo.requests) > 10
    for request in echo.requests:
        assert subject.hit(request.prompt) == clean
        assert subject.hit(request.prefix) == []


@pytest.mark.parametrize("name", ["qwen3", "gpt-oss", "magistral"])
def test_c67_the_end_of_a_thought_stays_one_wherever_it_is_joined(name: str) -> None:
    subject = layout(name)
    echo = Echo(subject, "a")
    plan = plan_of(
        "trace = sample 1 thought",
        "trace = problem",
        'let mark of trace = end_of_thought if tokens == 0 else "no"',
        'let both of trace = "so" + mark',
        'force first(both of trace) + "Go" into trace',
        "return expand trace by 1",
    )
    outcome = run_plan(plan, echo)
    assert outcome.error is None, outcome.error
    assert subject.binding.thinking is not None
    thought = encode(subject.tokenizer, Trusted(subject.binding.thinking.end))
    forced = echo.requests[-1].prefix
    start = len(encode(subject.tokenizer, "so"))
    assert forced[start : start + len(thought)] == thought
    assert subject.hit(forced) == subject.hit(thought)


WAYS = {"byte_level": byte_level, "metaspace": metaspace}


@pytest.mark.parametrize("way", WAYS)
def test_the_ways_of_tokenizers(tmp_path: Path, way: str) -> None:
    """Tokens of both kinds, found in normalised text, with the space around them."""
    names = ("<s>", "</s>", "[INST]", "<｜User｜>", "<mask>", "<|Ａ|>")
    made = WAYS[way](names[:3])
    made.add_tokens([AddedToken(names[3], special=False, normalized=True)])
    made.add_special_tokens([AddedToken(names[4], lstrip=True, rstrip=True, special=True)])
    made.add_special_tokens([AddedToken(names[5], normalized=True, special=True)])
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = HuggingFaceTokenizer(tmp_path)
    controls = {tokenizer.token(name) for name in names}

    @settings(max_examples=4 * EXAMPLES, deadline=None)
    @given(hostile(names))
    def holds(text: str) -> None:
        ids = tokenizer.guarded(text, ())
        assert controls.isdisjoint(ids)
        # SentencePiece writes spaces as `▁`, and `▁` as a space.
        shown = text.replace("▁", " ") if way == "metaspace" else text
        assert shown.encode() in to_bytes(tokenizer, ids)
        if controls.isdisjoint(tokenizer.encode(text)):
            assert ids == tokenizer.encode(text)
        trusted = Trusted("[INST]") + text + Trusted("</s>")
        told = [token for token in encode(tokenizer, trusted) if token in controls]
        assert told == [tokenizer.token("[INST]"), tokenizer.token("</s>")]

    holds()
    many = "<s>" * 3000 + " " * 3000 + "<mask>"
    assert controls.isdisjoint(tokenizer.guarded(many, ()))


@pytest.mark.parametrize("way", WAYS)
def test_no_space_stands_before_a_text_that_continues_another(tmp_path: Path, way: str) -> None:
    """SentencePiece begins every text with one."""
    WAYS[way](("<s>", "</s>")).save(str(tmp_path / "tokenizer.json"))
    tokenizer = HuggingFaceTokenizer(tmp_path)
    thinking = Thinking(begin="<think>", end="</think>")
    binding = Binding(
        name="own", stop=("</s>",), context=256, thinking=thinking, turn=" So {message}"
    )
    echo = Echo(Layout(tmp_path, binding, tokenizer, ()), "ok")
    policy = Policy("policy", echo)
    assert to_bytes(tokenizer, policy.thought) == b"</think>"
    assert echo.thought_end == len(policy.thought)
    for text in ("Wait", " Wait", "\n\nWait", "</think>", "</s>b", "é"):
        assert to_bytes(tokenizer, policy.forced(text)) == text.encode()
    plan = plan_of(
        "trace = problem",
        'force "One" into trace',
        'force " and" into trace',
        "return ask again about trace with history",
        before='prompt again = "two"',
    )
    outcome = run_plan(plan, echo)
    assert outcome.error is None, outcome.error
    assert to_bytes(tokenizer, echo.requests[-1].prompt).decode().endswith("?One and So two")


def test_a_control_token_of_one_letter_is_named(tmp_path: Path) -> None:
    made = byte_level(("§",))
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = HuggingFaceTokenizer(tmp_path)
    with pytest.raises(EngineError, match="a text contains '§', which this tokenizer reads as a"):
        encode(tokenizer, "a § b")
    assert len(encode(tokenizer, Trusted("§"))) == 1


def test_texts_keep_what_is_trusted() -> None:
    text = "ab" + Trusted("cd") + "ef" + Trusted("g")
    assert isinstance(text, Trusted)
    assert (text, text.spans) == ("abcdefg", ((2, 4), (6, 7)))
    assert (Trusted("ab") + "").spans == ((0, 2),)
    for other in (text.strip(), text[2:], f"{text}", str(text), "".join([text])):
        assert not isinstance(other, Trusted)


@given(hostile(("<end>", "<eot>", "<think>", "</think>")))
def test_the_simulated_model_has_none(text: str) -> None:
    tokenizer = SimTokenizer()
    ends = {tokenizer.id("<end>"), tokenizer.id("<eot>")}
    assert ends.isdisjoint(encode(tokenizer, text))
    assert tokenizer.guarded(text, ((0, len(text)),)) == tokenizer.encode(text)


PRMS = {
    "math-shepherd": make_math_shepherd,
    "rlhflow": make_rlhflow,
    "skywork": make_skywork,
    "qwen-math-prm": make_qwen_math,
    "er-prm": make_er_prm,
    "pqm": make_pqm,
    "orm": lambda folder: make_outcome(folder, 1),
}


@pytest.mark.parametrize("family", PRMS)
def test_reward_models_refuse_every_control_token_by_name(tmp_path: Path, family: str) -> None:
    from tts_runtime.engines.prm.recognise import open_family

    folder = PRMS[family](tmp_path / family)
    tokenizer = HuggingFaceTokenizer(folder)
    outline = open_family(family, str(folder)).outline
    for name in tokenizer.controls:
        for request in (
            ScoreRequest(f"What {name}?", {}, "a\n\nb", ("a", "b")),
            ScoreRequest("What?", {}, f"a\n\nb{name}c", ("a", f"b{name}c")),
        ):
            with pytest.raises(EngineError) as caught:
                outline.path(request)
            assert repr(name) in str(caught.value)


def test_the_bundled_prm_reads_them_as_letters_and_names_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    scorer = BundledPrm(tiny_model(tmp_path / "prm", kind="prm"))
    tokenizer = HuggingFaceTokenizer(tmp_path / "prm")
    end = tokenizer.token("<eos>")
    path = scorer.outline.path(ScoreRequest("a<eos>b", {}, "", ("1<eos>", "2")))
    assert path is not None
    assert end not in path.ids
    assert to_bytes(tokenizer, path.ids) == b"Q: a<eos>b\nA: 1<eos>\n\n2\n\n"
    with pytest.raises(EngineError, match="contains 'é', for which this tokenizer has no token"):
        encode(tokenizer, "a é")
    asyncio.run(scorer.close())
