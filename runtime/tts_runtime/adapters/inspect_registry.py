"""inspect_ai: a model provider and a solver, which its entry point finds here.

inspect eval task.py --model tts/beam_search -M n=16 -M policy=vllm:Qwen/Qwen3-8B
inspect eval task.py --solver tts_runtime/tts_strategy -S strategy=beam_search -S n=16
"""

from __future__ import annotations

from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolChoice, ToolInfo

from tts_runtime.adapters.strategy_model import StrategyModel, text_of
from tts_runtime.runs.response import Response

#: Samples in flight; engines batch what strategies ask.
_CONNECTIONS = 64


class StrategyProvider(ModelAPI):  # type: ignore[misc]
    """A strategy as a model: `tts/STRATEGY`.

    Args:
        model_name: The strategy.
        base_url, api_key: Not used.
        config: Of generation; strategies decide their sampling themselves.
        options: As of `StrategyModel`.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self._model = StrategyModel(model_name, options)

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,  # noqa: ARG002
        config: GenerateConfig,  # noqa: ARG002
    ) -> ModelOutput:
        """The strategy's answer to a chat.

        Raises:
            ValueError: The chat has what no strategy reads, or there are tools.
            AnswerError: The strategy failed.
        """
        if tools:
            raise ValueError("strategies use no tools")
        response = await self._model.answer(text_of([_plain(each) for each in input]))
        return output_of(self.model_name, response)

    async def aclose(self) -> None:
        """Closes the engines."""
        await self._model.close()

    def max_connections(self) -> int:
        """Samples in flight."""
        return _CONNECTIONS

    def connection_key(self) -> str:
        """Every strategy has its own engines."""
        return str(self.model_name)


@modelapi(name="tts")  # type: ignore[untyped-decorator]
def tts() -> type[ModelAPI]:
    """The provider."""
    return StrategyProvider


@solver  # type: ignore[untyped-decorator]
def tts_strategy(strategy: str, **options: Any) -> Solver:
    """Solves samples with a strategy, as `tts-run` does: a sample's id is its problem's, an epoch
    adds to the seed.

    Args:
        strategy: A shipped name, a file.
        options: As of `StrategyModel`.
    """
    model = StrategyModel(strategy, options)

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001
        text = text_of([_plain(each) for each in state.messages])
        name, repeat = str(state.sample_id), state.epoch - 1
        response = await model.answer(text, name=name, repeat=repeat)
        state.output = output_of(strategy, response)
        state.messages.append(state.output.message)
        state.completed = True
        return state

    return solve


def output_of(model: str, response: Response) -> ModelOutput:
    """A response, as inspect_ai has it; tokens that are not returned count as reasoning."""
    usage = response.usage
    message = ChatMessageAssistant(content=response.text, model=model, source="generate")
    stopped = "max_tokens" if response.finish == "length" else "stop"
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason=stopped)],
        usage=ModelUsage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.policy_tokens,
            total_tokens=usage.prompt_tokens + usage.policy_tokens,
            reasoning_tokens=max(0, usage.policy_tokens - usage.returned_tokens),
        ),
        metadata={
            "answer": response.answer,
            "seed": response.seed,
            "scorer_tokens": usage.scorer_tokens,
            "flops": usage.flops,
        },
    )


def _plain(message: ChatMessage) -> dict[str, Any]:
    """A message, as the OpenAI interface has it; thoughts of earlier turns are left out."""
    if isinstance(message.content, str):
        return {"role": message.role, "content": message.content}
    parts = [
        {"type": part.type, "text": getattr(part, "text", None)}
        for part in message.content
        if part.type != "reasoning"
    ]
    return {"role": message.role, "content": parts}
