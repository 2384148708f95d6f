"""A policy's binding: everything about a model that a strategy does not say.

Chat template, delimiters, stop tokens, answer markers, context window and default sampling live in
a small YAML file beside the model, so that a strategy names none of them.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tts_lang.readers import read_written
from tts_runtime.tokens import Trusted

#: Bindings of well-known models, without their folders.
SHIPPED = Path(__file__).resolve().parent / "bindings"


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


class Binding(BaseModel):
    """How one policy is talked to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    prompt: str = Field(
        default="{message}",
        description="Conversation opener; {message} is the user's turn, {system} is `system`",
    )
    turn: str | None = Field(
        default=None,
        description="Between a reply and the next one; {message} is the user's turn there",
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
    stop: tuple[str, ...] = Field(default=(), description="Tokens that end a solution")
    answer: tuple[str, ...] = Field(
        default=("\\boxed{}",), description="Explicit answer markers, {} for the answer"
    )
    context: int = Field(gt=0, description="Tokens of prompt and path together")
    defaults: Defaults = Defaults()

    @model_validator(mode="after")
    def _one_message(self) -> Binding:
        for name, text in (("prompt", self.prompt), ("user", self.user), ("turn", self.turn)):
            if text is not None and text.count("{message}") != 1:
                raise ValueError(f"`{name}` must hold {{message}} once")
        return self

    def open(self, message: str, *, thinking: bool) -> Trusted:
        """The prompt's text for a message; with the begin-of-thinking delimiter when `thinking`.

        The message is not trusted: no control token written out in it becomes one.
        """
        return self._around(self.prompt, message, thinking)

    def follow(self, message: str, *, thinking: bool) -> Trusted:
        """What follows a reply: the user's next turn, and the opening of the reply to it (C73).

        Raises:
            BindingError: It has no `turn`; binding a plan refuses that.
        """
        if self.turn is None:
            raise BindingError(f"binding `{self.name}` has no `turn`")
        return self._around(self.turn, message, thinking)

    def _around(self, template: str, message: str, thinking: bool) -> Trusted:
        before, after = template.split("{message}")
        first, last = self.user.split("{message}")
        if self.trim:  # the turn as a whole: a directive keeps the space between
            first, last = first.lstrip(), last.rstrip()
            message = message if first.strip() else message.lstrip()
            message = message if last.strip() else message.rstrip()
        system = self.system or ""
        before, after = (part.replace("{system}", system) for part in (before, after))
        if self.thinking is not None and (thinking or self.thinking.always):
            after += self.thinking.begin
        return Trusted(before + first) + message + Trusted(last + after)


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
