"""A line in the spelling of this language, and its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tts_lang.repair.lexicon import COLUMNS_MEANT, FUNCTIONS_MEANT
from tts_lang.repair.scope import KnownNames
from tts_lang.syntax.words import TERMINALS

_TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|\d[\d_]*(?:\.\d+)?(?:[eE]-?\d+)?%?|[A-Za-z_]\w*'
    r"|\*\*|[<>=!]==?|<>|->|<-|:=|\.\.|\S"
)
#: A text; splits a line at its texts, which are every second part.
TEXTS = re.compile(r'("(?:\\.|[^"\\])*")')
_SPELLINGS: tuple[tuple[str, str], ...] = (
    (r"[\u201c\u201d]", '"'),
    (r"&&?", " and "),
    (r"\|\|", " or "),
    (r"!(?!=)", " not "),
    (r"=<", "<="),
    (r"(?<![=<>!])=>", ">="),
    (r"\^", " ** "),
    (r"^(\w+)\+\+$", r"\1 = \1 + 1"),
    (r"\btop-([pk])\b", r"top_\1"),
    (r"\bmin-p\b", "min_p"),
    (r",? ?\breverse ?= ?True\b", ""),
    (r"\breverse ?= ?False\b|\bascending ?= ?True\b", "ascending"),
    (r",? ?\bascending ?= ?False\b", ""),
    (r"^(\w+) (?:of|for|in) (\w+) = ", r"let \1 of \2 = "),
    (
        r"\b(?:most|a majority|the majority|more than half) of (?:the )?(\w+) agrees?\b",
        r"share(\1) > 0.5",
    ),
    (r"\b(?:at least )?half of (?:the )?(\w+) agrees?\b", r"share(\1) >= 0.5"),
    (r"\b(?:the )?answer with (?:the )?most votes (?:in|of|from|among) (\w+)", r"vote \1"),
    (r"\bhow many (?:of )?(?:the )?", "number of "),
    (r"^(let \w+ of \w+) ?(?:==|:=) ?", r"\1 = "),
    (r"\brange ?\(1, ?(.+?)\)", r"range(\1 - 1)"),
    (r"(\bif\b.*\belse): (?=\S)", r"\1 "),
    (r"\bstep\(s\)", "steps"),
    (r"\[sample 1 for \w+ in range\(([^()]+)\)\]", r"sample \1"),
    (r"^(?:let |set |compute )?(\w+)\.(\w+)(?: of \1)? = ", r"let \2 of \1 = "),
    (
        r"^(?:compute|define|set|calculate|assign) (\w+) (?:of|for|in|on) (\w+) ?"
        r"(?:=|:=|:|as|to) ?",
        r"let \1 of \2 = ",
    ),
    (
        r"^(?:for|foreach|repeat)(?: each)? \w+ ?(?:in\b|=|from\b) ?(?:range ?\()?"
        r"(?:[01] ?(?:\.\.|to|,|:) ?)?"
        r"(.+?)\)?( ?:?)$",
        r"repeat \1\2",
    ),
    (r"^repeat [01] ?(?:\.\.|to) ?", "repeat "),
    (r"(\d),(\d{3})\b", r"\1_\2"),
    (r"(?<![\w.])0,(\d)", r"0.\1"),
    (r"^while \w+ ?<=? ?([\w() -]+?)( ?:?)$", r"repeat \1\2"),
    (r",? ?\bdo_sample ?= ?False", " greedy"),
    *((rf"\b({'|'.join(FUNCTIONS_MEANT)})\[([^\[\]]*)\]", r"\1(\2)"),) * 2,
    (r"(?<![\w.])\.(\d)", r"0.\1"),
    (r"\b(\d+) ?(?:percent|per cent|pct|%)(?!\w)", r"\1%"),
    (r"\b(\d+)\.(\d)k\b", r"\g<1>_\g<2>00"),
    (r"\b(\d+)k\b", r"\1_000"),
    (r"\b(\d+)x\b", r"\1 x"),
    (r"\b(\d+)([a-z]\w*)", r"\1 * \2"),
    (r"\b(?:math|np|numpy|torch|statistics|random|heapq|itertools|collections)\.", ""),
    # Pseudo-code of papers, values that are chosen, a factor without a sign.
    (r"\b(\w+)_\{\w+ in (\w+)\} ?(\w+)\(\w+\)", r"\1(\3 of \2)"),
    (r"= if (.+?) then (.+?) else (.+)$", r"= \2 if \1 else \3"),
    (r"\b(?:coalesce|ifnull|nvl)\((\w+), ?([^()]+)\)", r"(\1 if has(\1) else \2)"),
    (r"(?<![\w.])(\d+\.\d+) (?=[a-z]\w*(?:\(|$))", r"\1 * "),
    (r"\b(softmax\(.+?), ?[A-Za-z]\w* ?= ?(?=[\d.]+\))", r"\1, "),
    (r"\b(count\(\w+)\) (?:group|grouped|per) (?:by )?(\w+)", r"\1 per \2)"),
    (r"\bmajority\((\w+)\) ?(?=[<>=])", r"share(\1) "),
    (r"\(last (\d+)\)", r"(tail \1)"),
    (r"\bstop at ([A-Z]\w*)", r'stop at "\1"'),
    (r"(?<![\w.])new (?=\w+\()", "fresh "),
    (r"(?<![\w.])(?:apply|call|execute|invoke|run) (?=\w+\()", ""),
    (
        r"^((?:return |\w+ ?= ?)(?:fresh )?(?!vote\b|sample\b)\w+)\(([^()]*)\) (?:with |at )*"
        r"(temperature|top_p|top_k|min_p) ?=? ?([\w.]+)$",
        r"\1(\2, \3 = \4)",
    ),
    (r"(?<=\w\(), (?=\w+ = )", ""),
    (r"^(judge \w+) (?:with|using|by) (?=policy\b)", r"\1 from "),
    # Comprehensions and small functions.
    (r"\[(\w+) for \1 in ([^\]]+?) if ([^\]]+)\]", r"\2 where \3"),
    (r"([\[(])?(\w+(?:\.\w+|\([\w, ]*\))?) for (\w+) in ([\w.]+)[\])]?", r"\1\2 of \4"),
    (r"\blambda (\w+) ?: ?", r""),
    (r"([\])])\[(?:0 ?)?: ?([^\]:]+)\]", r"\1 first \2"),
    (r"([\])])\[0\]", r"\1 first"),
)
#: Signs that word processors and other keyboards write, the wide ones among them.
_SIGNS = {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}
_SIGNS |= dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
_SIGNS |= dict.fromkeys(map(ord, "\u00b7\u22c5"), " * ")
_SIGNS |= {0xD7: " x ", 0xF7: " / ", 0xB2: " ** 2", 0x2190: "=", 0x3000: " "}
_SIGNS |= {0x2264: "<=", 0x2265: ">=", 0x2260: "!="}
#: An `'s` that closes no text, and texts in any quotes, without the f of one that has no slots.
_QUOTED = re.compile(
    r"(?<=\w)'s\b|(?:\bf(?=(['\"])[^{]*?\1))?"
    r'(?:"((?:\\.|[^"\\])*)"|[\u201c\u201d]([^\u201c\u201d"]*)[\u201c\u201d]'
    r"|'([^'\"]*)'|\u2018([^\u2018\u2019\"]*)\u2019)"
)
_SPELLED = tuple((re.compile(pattern), new) for pattern, new in _SPELLINGS)
_OWNED = re.compile(r"\b(?:lambda|for) (\w+)\b")


def _straight(match: re.Match[str]) -> str:
    """A text in straight quotes, as it is: its words are no signs of a language."""
    text = next((each for each in match.groups()[1:] if each is not None), None)
    return "" if text is None else f'"{text}"'


def straight(code: str) -> str:
    """A line with straight quotes, and the signs of this language for those of `_SIGNS`."""
    pieces = TEXTS.split(_QUOTED.sub(_straight, code))
    pieces[::2] = [piece.translate(_SIGNS) for piece in pieces[::2]]
    return "".join(pieces)


def spelled(code: str) -> str:
    """A line with the signs of other languages written as here; its texts stay as they are."""
    code = re.sub(r'\b(\w+)\["(\w+)"\]', r"\1.\2", straight(code))
    texts: dict[str, str] = {}

    def hidden(match: re.Match[str]) -> str:
        name = f'"\0{len(texts)}"'
        texts[name] = match[0]
        return name

    line = TEXTS.sub(hidden, code)
    line = re.sub(r"\b(\w+) ?=> ?(?=[^=]*\b\1\.)", r"lambda \1: ", line)
    owners = set(_OWNED.findall(line)) - {"_"}
    for owner in owners:
        line = re.sub(rf"\b{owner}\.", "", line)
    for pattern, new in _SPELLED:
        line = pattern.sub(new, line)
    missing = line.count("(") - line.count(")")
    if missing == -1 and line.endswith(")"):
        line = line[:-1]
    elif 0 < missing < 3:
        line += ")" * missing
    return TEXTS.sub(lambda match: texts.get(match[0], match[0]), line)


def split_arguments(tokens: Sequence[str]) -> list[list[str]]:
    """The words between the commas of a call."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += token in "([{"
        depth -= token in ")]}"
        if token in {",", ";"} and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def written(tokens: Sequence[str]) -> str:
    """Words as a text of a line."""
    text = " ".join(tokens)
    return re.sub(r" ?([(.]) ?| (?=[),])", lambda match: match[1] or "", text)


def words_of(code: str, names: KnownNames) -> list[str]:
    """The words and signs of a line; `majority_vote` and `maxTokens` are two words each."""
    words: list[str] = []
    tokens = _TOKEN.findall(spelled(code))
    for place, token in enumerate(tokens):
        is_one = not token[0].isalpha() or token in names.all or token in TERMINALS
        is_one = is_one or token.lower() in COLUMNS_MEANT or token.lower() in FUNCTIONS_MEANT
        following = tokens[place + 1] if place + 1 < len(tokens) else ""
        parts = (
            [token]
            if is_one or (following in {"=", "("} and "max" not in token)
            else re.split(r"_|(?<=[a-z])(?=[A-Z])", token)
        )
        words += [part for part in parts if part]
    return words
