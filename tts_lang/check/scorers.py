"""Scorers and judges: their declarations as the plan describes them."""

from __future__ import annotations

from dataclasses import dataclass

from tts_lang.check.columns import gives_steps
from tts_lang.check.context import Inputs, StrategyContext
from tts_lang.check.dispatch import Site
from tts_lang.check.generate import decoding
from tts_lang.check.prompts import fits_view, template, two_meanings
from tts_lang.check.scope import Declared
from tts_lang.check.values import check_not_empty, static_number
from tts_lang.plan.graph import Judge, Scorer
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import JudgeView, ReadKind


@dataclass(frozen=True, slots=True)
class Bounds:
    """The declared range of a scorer."""

    low: float | None = None
    high: float | None = None


def describe(context: StrategyContext, declared: Declared, imported: bool = False) -> Scorer:
    """A scorer for the plan; its declaration is read in the file that it stands in.

    `context` must be a context of that file (`declaration_context`).
    """
    node = declared.scorer
    if isinstance(node, nodes.JudgeDeclaration):
        return _judge(context, declared, node, imported)
    bounds = value_range(context, node.range)
    field = None if node.problem_field is None else node.problem_field.value
    check_not_empty(context, field, "the name of the field", node.problem_field or node)
    return Scorer(
        declared.name, gives_steps(declared), node.together, bounds.low, bounds.high, None, field
    )


def value_range(context: StrategyContext, node: nodes.ValueRange | None) -> Bounds:
    """`from LOW to HIGH`, which must rise; unbounded where it is not written."""
    if node is None:
        return Bounds()
    low = static_number(context, node.low, "the low end of the range")
    high = static_number(context, node.high, "the high end of the range")
    if low is not None and high is not None and low >= high:
        context.error(
            "TTS302",
            f"the range is empty: {low:g} is not below {high:g}",
            node,
            f"write `from {high:g} to {low:g}`" if low > high else None,
        )
    return Bounds(low, high)


def _judge(
    context: StrategyContext, declared: Declared, node: nodes.JudgeDeclaration, imported: bool
) -> Scorer:
    prompt, _ = template(node.name.text, node.text, node.parameters, declared.home, imported)
    inputs = Inputs()
    how = decoding(context, node.clauses, Site(inputs))
    if inputs.numbers:
        context.error("TTS303", "how a judge samples must be known when compiling", node.name)
    reading = node.reading
    if reading.after is not None:
        check_not_empty(context, reading.after.value.strip(), "the marker", reading.after)
    bounds = value_range(context, reading.range)
    options = _options(context, reading)
    low, high = bounds.low, bounds.high
    if reading.kind is ReadKind.CHOICE and options:
        values = [value for _, value in options]
        low, high = min(values), max(values)
    elif reading.kind is not ReadKind.NUMBER:
        low, high = 0.0, 1.0
    retries = 0
    if node.retry is not None:
        retries = _retries(context, node.retry)
    judge = Judge(
        how.policy,
        prompt,
        reading.kind.value,
        None if reading.after is None else reading.after.value,
        low,
        high,
        retries,
        how,
        options,
        node.view is JudgeView.PAIRWISE,
        node.history,
    )
    return Scorer(declared.name, False, node.view is not JudgeView.SINGLE, low, high, judge)


def _retries(context: StrategyContext, node: nodes.Expression) -> int:
    value = static_number(context, node, "the number of retries")
    if value is None:
        return 0
    if value < 0 or value != int(value):
        what = "be at least 0" if value < 0 else "be whole"
        context.error("TTS301", f"the number of retries must {what}, not {value:g}", node)
        return 0
    return int(value)


def _options(context: StrategyContext, reading: nodes.Reading) -> tuple[tuple[str, float], ...]:
    options: list[tuple[str, float]] = []
    words: set[str] = set()
    for option in reading.options:
        word = option.text.value
        spaced = reading.kind is ReadKind.PROBABILITY  # it may be that of a space
        check_not_empty(context, word if spaced else word.strip(), "the text", option.text)
        folded = word if len(word) == 1 else word.casefold()
        if word.strip() and folded in words:
            context.error("TTS309", f'the option "{word}" is there twice', option, "remove one")
        words.add(folded)
        value: float | None = 1.0
        if option.value is not None:
            value = static_number(context, option.value, "the value of an option")
        elif reading.kind is ReadKind.CHOICE:
            context.error(
                "TTS218",
                f'the option "{word}" needs the number that it stands for',
                option,
                f'`read choice of "{word}" = 1, ...`',
            )
        options.append((word, 0.0 if value is None else float(value)))
    return tuple(options)


def check_judge(
    context: StrategyContext,
    declared: Declared,
    node: nodes.JudgeDeclaration,
    imported: bool = False,
) -> None:
    """Checks a judge's declaration, slots included."""
    prompt, diagnostics = template(
        node.name.text, node.text, node.parameters, declared.home, imported
    )
    for diagnostic in diagnostics:
        context.check.add(diagnostic)
    parameters = {each.name.text for each in node.parameters}
    fits_view(context, prompt, parameters, node.view is not JudgeView.SINGLE, node.text, "judge")
    reading = node.reading
    kind = reading.kind
    single = node.view is JudgeView.SINGLE
    if kind is ReadKind.RANKING and node.view is not JudgeView.TOGETHER:
        _misfit(context, reading, "a ranking orders a whole pool", "declare the judge `together`")
    if kind is ReadKind.CHOICE and not reading.options and single:
        _misfit(
            context,
            reading,
            "a choice is between candidates or between options",
            'declare the judge `together`, or write `read choice of "yes" = 1, "no" = 0`',
        )
    if kind is ReadKind.CHOICE and reading.options and not single:
        _misfit(context, reading, "options judge one candidate at a time", "remove `together`")
    if kind is ReadKind.PROBABILITY and (len(reading.options) != 1 or not single):
        _misfit(
            context,
            reading,
            "a probability is that of one text, for one candidate",
            'write `read probability of "Yes"`',
        )
    elif kind is ReadKind.PROBABILITY and reading.options[0].value is not None:
        _misfit(
            context, reading, "a probability stands for itself", "remove the `=` and its number"
        )
    if kind is ReadKind.NUMBER and reading.options:
        _misfit(context, reading, "a number has no options", "`read number from 0 to 10`")
    if kind is ReadKind.NUMBER and not single:
        _misfit(
            context,
            reading,
            "one number cannot score a pool",
            "`read choice` or `read ranking`, or a judge of single candidates",
        )
    if kind is not ReadKind.NUMBER and reading.range is not None:
        _misfit(context, reading.range, "a range belongs to `read number`", "remove it")


def _misfit(context: StrategyContext, node: nodes.SyntaxNode, message: str, help_: str) -> None:
    context.error("TTS406", message, node, help_)


def enter_scorer(
    context: StrategyContext, home: StrategyContext, declared: Declared, place: nodes.Name
) -> Scorer:
    """The plan's description of a scorer, noted among those that the plan reads."""
    entered = context.check.scorers.get(declared.name)
    if entered is not None and entered[0] is declared:
        return entered[1]
    imported = declared.home is not context.scope
    if isinstance(declared.node, nodes.JudgeDeclaration):
        check_judge(home, declared, declared.node, imported)
    scorer = describe(home, declared, imported)
    if entered is None:
        context.check.scorers[declared.name] = (declared, scorer)
        if scorer.judge is not None:
            context.check.policies.setdefault(scorer.judge.policy)
    elif entered[1] != scorer:
        two_meanings(context, "scorers", declared, entered[0], place)
    return scorer
