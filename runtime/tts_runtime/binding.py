"""A policy's binding: everything about a model that a strategy does not say.

Chat template, delimiters, stop tokens, answer markers, context window and default sampling live in
a small YAML file beside the model, so that a strategy names none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tts_lang.readers import read_written
from tts_runtime.tokens import Trusted

#: Bindings of well-known models, without their folders.
SHIPPED = Path(__file__).resolve().parent / "bindings"


#: What ends a message in the conversations of chat completions, from which the messages are read
#: again: private-use characters. They are left out of what the messages say.
END_OF_SYSTEM, END_OF_TURN, END_OF_REPLY = "\ue010", "\ue011", "\ue012"
_ENDS: Final = dict.fromkeys(map(ord, (END_OF_SYSTEM, END_OF_TURN, END_OF_REPLY)))


class BindingError(Exception):
    """A binding that cannot be used; the message says what is wrong, where, and what to do."""


class Thinking(BaseModel):
    """Delimiters of a thinking policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin: str = Field(
        description="Opens the thinking; added to the prompt of a strategy that thinks"
    )
    end: str = Field(
        min_length=1, description="Ends a thought; withheld from the text of a thought"
    )
    always: bool = Field(
        default=False, description="The chat template opens every reply with `begin`"
    )


class Defaults(BaseModel):
    """Sampling where a strategy says nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, le=1)


#: Role ("system", "user" or "assistant") and text of messages: perhaps a system message, then a
#: user's turns and the replies to them.
Messages: TypeAlias = tuple[tuple[str, str], ...]


class Binding(BaseModel):
    """The binding of a policy: templates, delimiters and markers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    prompt: str = Field(
        default="{message}",
        description="Conversation opener; {message} is the user's turn, {system} is `system`",
    )
    system_prompt: str | None = Field(
        default=None,
        description="Conversation opener where a problem has a system message, for `{system}`; "
        "null: `prompt`, if that shows one",
    )
    turn: str | None = Field(
        default=None,
        description="Between a reply and the next one; {message} is the user's turn there",
    )
    examples: bool = Field(
        default=True,
        description="A reply stands right behind the opening of it, so that examples can",
    )
    chat_template: bool = Field(
        default=False, description="The model's own chat template opens conversations, not `prompt`"
    )
    template_options: dict[str, bool | int | float | str] = Field(
        default={},
        description="What the chat template is given: `enable_thinking: false`",
    )
    system: str | None = Field(
        default=None, description="System message; null: what the chat template says itself"
    )
    user: str = Field(
        default="{message}", description="The user's turn; {message} is the problem or the ask"
    )
    trim: bool = Field(
        default=False, description="Leave out white space around messages, as many templates do"
    )
    thinking: Thinking | None = None
    step_delimiter: str = Field(default="\n\n", min_length=1)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Tokens that end a solution"
    )
    answer: tuple[str, ...] = Field(
        default=("\\boxed{}",), description="Explicit answer markers, {} for the answer"
    )
    context: int = Field(gt=0, description="Tokens of prompt and path together")
    defaults: Defaults = Defaults()

    @model_validator(mode="after")
    def _one_message(self) -> Binding:
        for name in ("prompt", "user", "turn", "system_prompt"):
            text = getattr(self, name)
            if text is not None and text.count("{message}") != 1:
                raise ValueError(f"`{name}` must hold {{message}} once")
        return self

    def open(self, message: str, *, thinking: bool, before: Messages = ()) -> Trusted:
        """The prompt's text for a message; with the begin-of-thinking delimiter when `thinking`.

        Messages are not trusted: no control token written out in them becomes one.

        Args:
            message: The user's last turn.
            thinking: A thought opens.
            before: The messages before it (C79), which `misfit` has nothing against.
        """
        template, system, turns = self.prompt, None, [*before]
        if turns and turns[0][0] == "system":
            template, system = self.system_prompt or self.prompt, turns.pop(0)[1]
        if not turns:
            return self._around(template, message, thinking, system)
        questions, replies = [text for _, text in turns[::2]], [text for _, text in turns[1::2]]
        opened = self._around(template, questions[0], None, system)
        for reply, following in zip(replies[:-1], questions[1:], strict=True):
            opened = opened + reply + self._around(self.turn or "", following, None)
        return opened + replies[-1] + self._around(self.turn or "", message, thinking)

    def misfit(self, before: Messages) -> str | None:
        """Why a conversation cannot open with these messages, if it cannot."""
        if before and before[0][0] == "system":
            if "{system}" not in (self.system_prompt or self.prompt):
                return (
                    f"a system message, and binding `{self.name}` has no place for one: write "
                    "`{system}` into its `prompt` (docs/bindings.md)"
                )
            before = before[1:]
        if before and not self.examples:
            return f"earlier turns, and binding `{self.name}` has no form for replies to them"
        if before and self.turn is None:
            return (
                f"earlier turns, and binding `{self.name}` does not say how a conversation "
                "continues: add `turn` to it (docs/bindings.md)"
            )
        return None

    def follow(self, message: str, *, thinking: bool) -> Trusted:
        """The text after a reply: the user's next turn, and the opening of the reply to it (C73).

        Raises:
            BindingError: It has no `turn`; binding a plan refuses that.
        """
        if self.turn is None:
            raise BindingError(f"binding `{self.name}` has no `turn`")
        return self._around(self.turn, message, thinking)

    def _around(
        self, template: str, message: str, thinking: bool | None, system: str | None = None
    ) -> Trusted:
        """A user's turn in a template; `None`: a reply is there, so that no thought opens."""
        if END_OF_TURN in template:
            message = message.translate(_ENDS)
            system = None if system is None else system.translate(_ENDS)
        before, after = template.split("{message}")
        first, last = self.user.split("{message}")
        if self.trim:  # the turn as a whole: a directive keeps the space between
            first, last = first.lstrip(), last.rstrip()
            message = message if first.strip() else message.lstrip()
            message = message if last.strip() else message.rstrip()
        if self.thinking is not None and thinking is not None:
            after += self.thinking.begin if thinking or self.thinking.always else ""
        if system is not None:
            return _shown(before + first, system) + message + _shown(last + after, system)
        own = self.system or ""
        before, after = (part.replace("{system}", own) for part in (before, after))
        return Trusted(before + first) + message + Trusted(last + after)


def _shown(template: str, system: str) -> Trusted:
    """A part of a template with a problem's system message in it, which is not trusted."""
    first, *rest = template.split("{system}")
    shown = Trusted(first)
    for part in rest:
        shown = shown + system + Trusted(part)
    return shown


def shipped_bindings() -> dict[str, Path]:
    """Files of the bindings that ship with the runtime, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def load_binding(path: Path, context: int | None = None) -> Binding:
    """Reads a binding file; a `BindingError` names every key that is wrong.

    Args:
        path: The file.
        context: The window where the file names none (the model's own).
    """
    try:
        data = yaml.safe_load(read_written(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise BindingError(
            f"{path}: there is no such file; a model's folder needs a binding.yaml that says how "
            "the model is talked to (docs/bindings.md)"
        ) from error
    except OSError as error:
        raise BindingError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BindingError(f"{path}: is not YAML: {error}") from error
    except (RecursionError, ValueError) as error:  # ValueError: a date or number that is none
        raise BindingError(f"{path}: is not a binding: {str(error)[:80]}") from error
    if not isinstance(data, dict):
        raise BindingError(f"{path}: expected keys and values, such as `context: 1024`")
    if context is not None:
        data.setdefault("context", context)
    try:
        return Binding.model_validate(data)
    except ValidationError as error:
        from tts_lang.diagnostics import suggest

        lines = []
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            line = f"  {where}: {problem['msg']}"
            if problem["type"] == "extra_forbidden":
                close = suggest(str(problem["loc"][-1]), _known_keys(problem["loc"]))
                line += f" (did you mean `{close}`?)" if close else ""
            lines.append(line)
        raise BindingError("\n".join([f"{path}: wrong binding", *lines])) from error


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand where a wrong one does."""
    sections: dict[str, type[BaseModel]] = {"thinking": Thinking, "defaults": Defaults}
    section = sections.get(str(location[0]), Binding) if len(location) > 1 else Binding
    return list(section.model_fields)
