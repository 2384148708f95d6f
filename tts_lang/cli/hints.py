"""Hints for unknown options: parameters of strategies, and names that other tools use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tts_lang.diagnostics import DiagnosticError

#: Names of the number of samples in other tools.
_SAMPLES = ("k", "samples", "num_samples", "n_samples", "num_return_sequences", "best_of")

#: Parameters of other tools, and ours.
_PARAMETERS = {
    **dict.fromkeys(_SAMPLES, "n"),
    "temp": "temperature",
    **dict.fromkeys(("max_tokens", "max_new_tokens", "max_length"), "length"),
}

#: Clauses of a strategy's sampling that are options elsewhere.
_CLAUSES = {
    **dict.fromkeys(("temperature", "temp"), "at temperature {}"),
    **{name: name + " {}" for name in ("top_p", "top_k", "min_p")},
    **dict.fromkeys(("max_tokens", "max_new_tokens", "max_length"), "max {} tokens"),
}


def option_hint(
    unknown: str, arguments: Sequence[str], options: Mapping[str, Sequence[str]]
) -> str | None:
    """A hint for an unknown option that is more than a typo.

    Args:
        unknown: As it was typed: `--n`, `--n=16`.
        arguments: The whole command line; strategies are looked up in it.
        options: For an option of ours, as help shows it (`--policy ENGINE`), names of others.
    """
    option, _, value = unknown.partition("=")
    name = option.lstrip("-").replace("-", "_").lower()
    parameters = _parameters(arguments)
    value = value or _value_of(option, arguments)
    for parameter in (name, _PARAMETERS.get(name, "")):
        if parameter in parameters:
            return (
                f"`{parameter}` is a parameter of {parameters[parameter]}: "
                f"write `{parameter}={value or '...'}`"
            )
    for ours, names in options.items():
        if name in names:
            return f"write `{ours}`"
    clause = _CLAUSES.get(name)
    return (
        clause and f"it is a clause of the strategy, as in `sample 8 {clause.format(value or 'X')}`"
    )


def _value_of(option: str, arguments: Sequence[str]) -> str:
    """The value of an option, after `=` or in the next argument."""
    for argument in arguments:
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
    place = arguments.index(option) + 1 if option in arguments else len(arguments)
    value = arguments[place] if place < len(arguments) else ""
    return "" if value.startswith("-") else value


def _parameters(arguments: Sequence[str]) -> dict[str, str]:
    """The parameters of all strategies in a command line, each with a strategy that has it."""
    from tts_lang.compiler import settings_of

    parameters: dict[str, str] = {}
    for argument in arguments:
        if argument.startswith("-") or argument.endswith(".json"):
            continue
        try:
            names = settings_of(argument)
        except DiagnosticError:
            continue  # no strategy, but the value of an option
        for name in names:
            parameters.setdefault(name, argument)
    return parameters
