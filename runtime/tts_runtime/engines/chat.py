"""Chat templates of models, taken apart once so that texts can be put in as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tts_runtime.binding import Binding
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf_files import ModelFiles

#: Llama 3.2's template asks for today's date, and no run may depend on the day.
_DATE = "26 Jul 2024"
#: Stands for a text; private-use characters that no template changes.
MARK = "\ue000text\ue001"


class ChatTemplate:
    """The chat template in a model's folder.

    Raises:
        EngineError: There is none.
    """

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        if not has_chat_template(files):
            raise EngineError(
                f"`{files.name}` has no chat template (`chat_template` in tokenizer_config.json): "
                "write a binding with `prompt`"
            )

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer  # takes seconds, and only chat models need it

        return AutoTokenizer.from_pretrained(str(self._files.folder), trust_remote_code=False)

    def render(self, messages: Sequence[Mapping[str, str]], *, reply: bool) -> str:
        """A conversation as text, special tokens written out; with the opening of a reply."""
        from jinja2.exceptions import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=reply,
                date_string=_DATE,
            )
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise EngineError(
                f"the chat template of `{self._files.name}` refuses messages of {roles}: {error}"
            ) from error
        return text


def has_chat_template(files: ModelFiles) -> bool:
    """Whether the folder holds one, in either of its two places."""
    return "chat_template" in files.tokenizer or (files.folder / "chat_template.jinja").exists()


def with_prompt(binding: Binding, files: ModelFiles) -> Binding:
    """The binding, its `prompt` filled in from the model's chat template if it asks for that.

    Raises:
        EngineError: No template, or one that does not hold the message once.
    """
    if not binding.chat_template:
        return binding
    template = ChatTemplate(files)
    system = [{"role": "system", "content": binding.system}] if binding.system is not None else []

    def opened(message: str) -> str:
        return template.render([*system, {"role": "user", "content": message}], reply=True)

    text = opened(MARK)
    if text.count(MARK) != 1:
        raise EngineError(
            f"the chat template of `{files.name}` shows a message {text.count(MARK)} times: write "
            "a binding with `prompt`"
        )
    trims = f" {MARK} " not in opened(f" {MARK} ")
    return binding.model_copy(update={"prompt": text.replace(MARK, "{message}"), "trim": trims})
