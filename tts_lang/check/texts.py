"""Functions of texts."""

from __future__ import annotations

from tts_lang.check.context import StrategyContext
from tts_lang.check.dispatch import Site
from tts_lang.check.steps import positional
from tts_lang.check.types import POISON, ScalarType, Typed
from tts_lang.check.values import expect, scalar, static
from tts_lang.plan.constants import fold
from tts_lang.plan.expr import Const
from tts_lang.regex import RegexError, compiled
from tts_lang.syntax import nodes


def extract(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    """`extract(REGEX, text)` (C76)."""
    arguments = positional(context, node, 2, 2)
    if arguments is None:
        return POISON
    pattern = static(context, arguments[0], "a regular expression")
    source = expect(context, scalar(context, arguments[1], site), ScalarType.TEXT, arguments[1])
    if pattern is None or source.type is ScalarType.UNKNOWN:
        return POISON
    written = expect(context, pattern, ScalarType.TEXT, arguments[0]).expr
    if not isinstance(written, Const) or not isinstance(written.value, str):
        return POISON
    try:
        compiled(written.value)
    except RegexError as error:
        context.error("TTS302", f"this regular expression cannot be used: {error}", arguments[0])
        return POISON
    return Typed(ScalarType.TEXT, fold("extract", written, source.expr))


def text_number(context: StrategyContext, node: nodes.CallExpression, site: Site) -> Typed:
    """`number(text)` (C76)."""
    arguments = positional(context, node, 1, 1)
    if arguments is None:
        return POISON
    source = expect(context, scalar(context, arguments[0], site), ScalarType.TEXT, arguments[0])
    if source.type is ScalarType.UNKNOWN:
        return POISON
    return Typed(ScalarType.NUMBER, fold("number", source.expr))
