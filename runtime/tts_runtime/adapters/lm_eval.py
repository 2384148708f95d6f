"""lm-evaluation-harness: the model `tts`, and the harness's own command with it.

    python -m tts_runtime.adapters.lm_eval run --model tts \\
        --model_args strategy=beam_search,n=16,policy=vllm:Qwen/Qwen3-8B --tasks gsm8k_cot

The harness has no entry points for models: what is imported is what it knows.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from lm_eval.__main__ import cli_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from tts_runtime.adapters.strategy_model import StrategyModel, text_of
from tts_runtime.runs.window import default_window

_LOGGER = logging.getLogger(__name__)
#: Settings of the harness for every model that a strategy ignores.
_UNUSED: Final = ("batch_size", "max_batch_size", "device")


@register_model("tts")
class StrategyLM(LM):  # type: ignore[misc]
    """A strategy as a model of tasks that generate.

    Args:
        strategy: A shipped name, a file.
        options: As of `StrategyModel`.
    """

    #: The model's name in the harness's results, which also keeps chats apart.
    tokenizer_name = "tts"

    def __init__(self, strategy: str, **options: Any) -> None:
        super().__init__()
        own = {name: value for name, value in options.items() if name not in _UNUSED}
        self._model = StrategyModel(strategy, own)
        self._window = default_window([self._model.plan], ())
        self._runner = asyncio.Runner()
        atexit.register(self.close)

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        """The strategy's answers, cut at the task's stop texts.

        Raises:
            AnswerError: The strategy failed on one.
        """
        return self._runner.run(self._answers(requests))

    async def _answers(self, requests: Sequence[Instance]) -> list[str]:
        room = asyncio.Semaphore(self._window)

        async def one(request: Instance) -> str:
            text, sampling = request.args
            name = None if request.doc_id is None else f"{request.task_name}-{request.doc_id}"
            async with room:
                response = await self._model.answer(text, name=name)
            return _cut(response.text, sampling.get("until") or ())

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(request)) for request in requests]
        except ExceptionGroup as errors:  # the others have been cancelled
            raise errors.exceptions[0] from None
        return [each.result() for each in tasks]

    def loglikelihood(self, requests: Sequence[Instance]) -> NoReturn:
        """The harness's question for likelihoods, which strategies have none of.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"a strategy gives answers, not likelihoods of {len(requests)} given texts: choose "
            "tasks that generate (`output_type: generate_until`, such as gsm8k_cot)"
        )

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> NoReturn:
        """The same of whole texts."""
        self.loglikelihood(requests)

    def apply_chat_template(
        self,
        chat_history: list[dict[str, str]],
        add_generation_prompt: bool = True,  # noqa: ARG002
    ) -> str:
        """A chat (`--apply_chat_template`) as one text; the policy's template is put on later."""
        return text_of(chat_history)

    def close(self) -> None:
        """Closes the engines."""
        atexit.unregister(self.close)
        self._runner.run(self._model.close())
        self._runner.close()


def _cut(text: str, stops: str | Sequence[str]) -> str:
    """The text before the first of these."""
    places = [text.find(stop) for stop in ([stops] if isinstance(stops, str) else stops) if stop]
    return text[: min((at for at in places if at >= 0), default=len(text))]


if __name__ == "__main__":
    cli_evaluate()
