"""Chat templates of models, split once around the message so that texts are inserted verbatim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, Final

from tts_runtime.binding import Binding
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.files import ModelFiles

#: Templates of Llama, Mistral and gpt-oss contain today's date; no run may depend on the day.
_DAY: Final = date(2024, 7, 26)
#: Stands for a text: private-use characters that no template changes.
MARK: Final = "\ue000text\ue001"
#: Stands for a system message.
_SYSTEM: Final = "\ue004system\ue005"
#: Stands for an earlier reply.
_REPLY: Final = "\ue002reply\ue003"


class ChatTemplate:
    """The chat template in a model's folder.

    Raises:
        EngineError: There is none.
    """

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        self.source = chat_template_source(files)
        if not self.source:
            raise EngineError(
                f"`{files.name}` has no chat template (`chat_template` in tokenizer_config.json): "
                "write a binding with `prompt`"
            )

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer  # takes seconds, and only chat models need it
        from transformers.utils import logging

        logging.set_verbosity_error()
        try:
            return AutoTokenizer.from_pretrained(str(self._files.folder), trust_remote_code=False)
        except Exception as error:  # it reads config.json too, and has errors of its own for that
            raise EngineError(
                f"the tokenizer or the configuration of `{self._files.name}` cannot be loaded for "
                f"its chat template: {error}"
            ) from error

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        options: Mapping[str, object] | None = None,
        *,
        reply: bool,
    ) -> str:
        """A conversation as text, special tokens written out; with the opening of a reply."""
        tokenizer = self._tokenizer
        try:
            text: str = tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=reply,
                date_string=_DAY.strftime("%d %b %Y"),
                strftime_now=_DAY.strftime,
                **(options or {}),
            )
        except Exception as error:  # it runs code from the model's folder
            roles = ", ".join(message["role"] for message in messages)
            raise EngineError(
                f"the chat template of `{self._files.name}` refuses messages of {roles}: {error}"
            ) from error
        return text

    def opening(self, binding: Binding, turn: str = MARK) -> str:
        """How a conversation of a binding's system message and this user's turn opens."""
        messages = [{"role": "user", "content": turn}]
        if binding.system is not None:
            messages.insert(0, {"role": "system", "content": binding.system})
        return self.render(messages, binding.template_options, reply=True)

    def trims(self, binding: Binding) -> bool:
        """Whether it strips white space around the user's turn."""
        return f" {MARK} " not in self.opening(binding, f" {MARK} ")

    def is_prompt_of(self, binding: Binding) -> bool:
        """Whether it opens conversations as the binding writes them."""
        if binding.chat_template:
            return True
        bare = binding.model_copy(update={"user": "{message}", "thinking": None})
        expected = bare.open(MARK, thinking=False)
        begin = binding.thinking.begin if binding.thinking and binding.thinking.always else ""
        try:
            return (
                self.opening(binding) in (expected, expected + begin)
                and self.trims(binding) == binding.trim
            )
        except EngineError:  # it refuses a system message, for example
            return False

    def filled(self, binding: Binding) -> Binding:
        """The binding with this template's opening as its `prompt`.

        Raises:
            EngineError: The template does not contain the user's turn exactly once.
        """
        text = self.opening(binding)
        if text.count(MARK) != 1 or "{message}" in text:
            raise EngineError(
                f"the chat template of `{self._files.name}` shows a message {text.count(MARK)} "
                "times: write a binding with `prompt`"
            )
        thinking = binding.thinking
        if thinking is not None:
            for begin in (thinking.begin, thinking.begin.rstrip("\n")):
                if text.endswith(begin):
                    thinking = thinking.model_copy(update={"begin": begin, "always": True})
                    text = text.removesuffix(begin)
                    break
        return binding.model_copy(
            update={
                "prompt": text.replace(MARK, "{message}"),
                "system_prompt": binding.system_prompt or self.with_system(binding),
                "examples": binding.examples and self._replies_plainly(binding),
                "turn": self._turn(binding) if binding.turn is None else binding.turn,
                "trim": self.trims(binding),
                "thinking": thinking,
            }
        )

    def _replies_plainly(self, binding: Binding) -> bool:
        """Whether an earlier reply stands right behind the opening that a reply has."""
        try:
            text = self._second_turn(binding)
            opened = self.opening(binding, "Q")
        except EngineError:
            return False
        begin = binding.thinking.begin if binding.thinking is not None else ""
        head = text.partition(_REPLY)[0]
        return head in (opened, opened.removesuffix(begin), opened.removesuffix(begin.rstrip("\n")))

    def with_system(self, binding: Binding) -> str | None:
        """How a conversation with a system message opens; nothing if it does not show one once."""
        try:
            text = self.opening(binding.model_copy(update={"system": _SYSTEM}))
        except EngineError:
            return None
        if text.count(MARK) != 1 or text.count(_SYSTEM) != 1 or "{message}" in text:
            return None
        if binding.thinking is not None:  # as in `filled`
            for begin in (binding.thinking.begin, binding.thinking.begin.rstrip("\n")):
                if text.endswith(begin):
                    text = text.removesuffix(begin)
                    break
        return text.replace(MARK, "{message}").replace(_SYSTEM, "{system}")

    def _second_turn(self, binding: Binding) -> str:
        """A question, a reply and a second question, as the template writes them."""
        messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": _REPLY}]
        messages.append({"role": "user", "content": MARK})
        if binding.system is not None:
            messages.insert(0, {"role": "system", "content": binding.system})
        return self.render(messages, binding.template_options, reply=True)

    def _turn(self, binding: Binding) -> str | None:
        """What it writes between a reply and the next one; nothing if it changes earlier ones."""
        try:
            text = self._second_turn(binding)
        except EngineError:
            return None
        _, _, turn = text.partition(_REPLY)
        if not turn or _REPLY in turn or turn.count(MARK) != 1 or "{message}" in turn:
            return None
        if binding.thinking is not None:  # it stands in `open` and `follow`, not in the texts
            turn = turn.removesuffix(binding.thinking.begin)
        return turn.replace(MARK, "{message}")


def has_chat_template(files: ModelFiles) -> bool:
    """Whether the folder has one, in any of its places."""
    return bool(chat_template_source(files))


def chat_template_source(files: ModelFiles) -> str:
    """The template's text; empty if there is none."""
    file = files.folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8", errors="replace")
    found = files.tokenizer.get("chat_template")
    return found if isinstance(found, str) else json.dumps(found) if found else ""
