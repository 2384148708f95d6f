"""Lines that a wrong line can mean, by the words in it: the likelier ones first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tts_lang.repair.frames import MISSING, Filled, fillings
from tts_lang.repair.lexicon import SCORES
from tts_lang.repair.parts import Item
from tts_lang.repair.reading import LineReader
from tts_lang.repair.scope import KnownNames
from tts_lang.repair.scope import words as word_set
from tts_lang.repair.spelling import words_of
from tts_lang.repair.words import FORMS

_TARGET = re.compile(
    r"^(?:(?:let|var|set|const|val|auto|define|new)\s+)?([A-Za-z_]\w*)\s*(?::\s*\w+\s*)?"
    r"(?::=|<-|==?|:(?=\s*\w+\s+\w))\s*(?![=])(.*)$",
    re.IGNORECASE,
)
_RETURN = re.compile(
    r"^(?:return|(?:yield|output|retrun|answer|result|give|emit|print)(?!\s*=))\b[ :]*(.*)$", re.I
)
_INTO = re.compile(r"^(.*?)\s*(?:\binto\b|\bas\b|->|=>|\bin\b|\bto\b)\s*(?:variable )?(\w+)$")
_ADDED = re.compile(r"^(\w+)\s*([+-])=\s*(.*)$")
_TO_END = re.compile(
    r"(?:,? (?:by 1))? ?\b(?:until|to|till) (?:it is |they are |all )?(?:the )?"
    r"(?:done|finished|complete|completion|end)$"
)
_RETURNING = word_set("return yield output give")
_NOISE = word_set("all each every a an the then just only simply now")
#: Words that say nothing at the beginning of a line.
_OPENING = re.compile(r"^(?:then|and|also|now|finally|please|just)\b,? *", re.IGNORECASE)
_ASCENDING = re.compile(r"\bsorted\(.*\bkey ?=|\bsort_values\(")
_DESCENDING = re.compile(r"\breverse ?= ?True|\bascending ?= ?False|\bdesc")
#: Lines with more take long to read.
MOST_PARENTHESES = 20
_STATEMENTS = frozenset({"score", "force", "let", "backup", "repeat", "if", "choose", "retry"})
_BLOCKS = frozenset({"repeat", "if", "choose"})
#: Lines that leave out or make up more are not shown.
MOST_SHOWN = 2.9
_NOTHING = frozenset({"[ ]", "{ }", "( )", "none", "null", "nil", "empty", "nothing", "undefined"})


@dataclass(frozen=True, slots=True)
class Meant:
    """A line that may be meant: its cost, and whether it is complete."""

    line: str
    cost: float
    complete: bool


def meanings_of(code: str, names: KnownNames, *, last: bool) -> list[Meant]:
    """Meanings of a line without its comment and indentation, the likelier ones first.

    Args:
        last: It is the last line of its strategy.
    """
    best: dict[str, Meant] = {}
    if code.count("(") > MOST_PARENTHESES:
        return []
    for meaning in _meanings(code, names, last=last):
        earlier = best.get(meaning.line)
        if earlier is None or earlier.cost > meaning.cost:
            best[meaning.line] = meaning
    if _ASCENDING.search(code) and not _DESCENDING.search(code):
        for meaning in list(best.values()):  # Python sorts up, and means the best by it as often
            other = re.sub(r"\bby (-?)(\w+(?:\(\w+\))?)$", _turned, meaning.line)
            if other != meaning.line and meaning.complete:
                best.setdefault(other, replace(meaning, line=other))
    return sorted(best.values(), key=lambda meaning: meaning.cost)


def _turned(by: re.Match[str]) -> str:
    """The other order."""
    return f"by {by[2]}" if by[1] else f"by -{by[2]}"


def _meanings(code: str, names: KnownNames, *, last: bool) -> Iterator[Meant]:
    statements = [part.strip() for part in re.split(r";(?![^(]*\))", code) if part.strip()]
    if len(statements) > 1 and '"' not in code:
        yield Meant("\n".join(statements), 0, complete=True)
        return
    yield from _inline(code, names)
    block = code.rstrip().endswith((":", "{")) or re.search(r"\b(?:do|then)$", code) is not None
    body = re.sub(r"\s*[:{;.]+\s*$", "", code.strip())
    if added := _ADDED.match(body):
        for phrase in _phrases(f"{added[1]} + {added[3]}", names, added[1]):
            if phrase.verb == "force":
                yield Meant(phrase.text, phrase.cost, phrase.complete)
        for phrase in _phrases(added[3], names, added[1]):
            right = phrase.text if re.fullmatch(r"\w+", phrase.text) else f"({phrase.text})"
            yield Meant(f"{added[1]} = {added[1]} {added[2]} {right}", phrase.cost, phrase.complete)
        return
    body = _OPENING.sub("", body)
    if re.fullmatch(r"return (?:none|null|nil)", body, re.I):
        yield Meant("return none", 0, complete=True)
        return
    if re.search(r"(?:[-+*/=<>]|\b(?:and|or|not))$", body) or re.fullmatch(
        r"(?:return )?(?:the )?\w+", body
    ):
        if body.lower() in {"return answer", "return answers", "return the answer"}:
            yield Meant(f"return first of {names.pools[0]}", 0.5, complete=True)
            yield Meant(f"return vote {names.pools[0]}", 0.5, complete=True)
        return
    if not block and not re.match(r"(?:repeat|loop|while|for|do)\b", body):
        body = _TO_END.sub(" by 1", body)
    if re.match(r"(?:elif|else|elseif|elsif|import|from|include|assert|try|def)\b", body):
        return
    rows = re.match(r"for(?:each)?(?: each)? \w+ in (\w+)$", body)
    if rows is not None and rows[1] in names.pools:
        return
    if (returned := _RETURN.match(body)) is not None and not block:
        either = re.match(r"(.+?) if (.+?) else:? (.+)$", returned[1])
        if either is not None:
            condition = LineReader(words_of(either[2], names), names).items()
            if len(condition) == 1 and condition[0].kind == "flag":
                sides = [_best(each, names) for each in (either[1], either[3])]
                if all(sides):
                    line = f"if {condition[0].text}: return {sides[0]}\nreturn {sides[1]}"
                    yield Meant(line, 0.5, complete=True)
        alone = re.match(r"(.+?),? (if|unless|when) ([^?]+)$", returned[1])
        if alone is not None and either is None:
            for phrase in _phrases(f"{alone[2]} {alone[3]}", names, ""):
                side = _best(alone[1], names)
                if side and phrase.verb == "if" and phrase.complete and phrase.cost < MOST_SHOWN:
                    yield Meant(f"{phrase.text} return {side}", phrase.cost + 1, complete=False)
        rest = re.sub(r"^(?:the )?(?:final )?answer (?:of|from|in) ", "", returned[1])
        rest = re.sub(r"\.(?:answer|text)$", "", rest)
        if (rest in names.pools and rest != returned[1]) or re.fullmatch(
            r"(?:the )?(?:final )?answers?", rest
        ):
            pool = rest if rest in names.pools else names.pools[0]
            yield Meant(f"return first of {pool}", 0.5, complete=True)
            yield Meant(f"return vote {pool}", 0.5, complete=True)
        if re.match(r"[\w().]+ (?:sorted|ordered|ranked|order|sort)? ?by ", rest):
            rest = f"best of {rest}"
        for phrase in _phrases(rest, names, ""):
            if phrase.verb not in _STATEMENTS:
                yield Meant(f"return {phrase.text}", phrase.cost, phrase.complete)
        if returned[0].lower().startswith("return"):
            return
    target = _TARGET.match(body)
    if target is not None and not block:
        for phrase in _phrases(target[2], names, target[1]):
            if phrase.verb in {"score", "force", "backup"}:
                yield Meant(phrase.text, phrase.cost + 0.5, phrase.complete)
            elif (
                phrase.verb == ""
                and target[1] not in names.pools
                and (reader_row(target[2], names))
            ):
                text = f"let {target[1]} of {names.pools[0]} = {phrase.text}"
                yield Meant(text, phrase.cost + 0.5, phrase.complete)
                yield Meant(f"{target[1]} = {phrase.text}", phrase.cost, phrase.complete)
            elif phrase.verb not in _STATEMENTS:
                yield Meant(f"{target[1]} = {phrase.text}", phrase.cost, phrase.complete)
                if last:
                    yield Meant(f"return {phrase.text}", phrase.cost + 1, phrase.complete)
        if not re.match(r"(let|set|define)\b", body, re.I):
            return
    into = _INTO.match(body)
    for phrase in _phrases(body, names, ""):
        if phrase.verb in _BLOCKS:
            yield Meant(phrase.text, phrase.cost + (0 if block else 1), phrase.complete)
        elif phrase.verb in _STATEMENTS:
            yield Meant(phrase.text, phrase.cost + 3 * block, phrase.complete)
        elif block or re.match(r"(?:score|force|let|backup|repeat|if|choose)\b", body):
            continue
        elif last:
            yield Meant(f"return {phrase.text}", phrase.cost + 1, phrase.complete)
        elif phrase.pool and phrase.pool != "problem":
            yield Meant(f"{phrase.pool} = {phrase.text}", phrase.cost + 1, phrase.complete)
    if into is not None and not block:
        for phrase in _phrases(into[1], names, into[2]):
            if phrase.verb not in _STATEMENTS:
                yield Meant(f"{into[2]} = {phrase.text}", phrase.cost + 0.5, phrase.complete)


def _best(code: str, names: KnownNames) -> str:
    """The likeliest phrase that some words can mean."""
    phrases = (
        each for each in _phrases(code, names, "") if each.complete and each.cost < MOST_SHOWN
    )
    best = min(phrases, key=lambda each: each.cost, default=None)
    return "" if best is None else best.text


def _inline(code: str, names: KnownNames) -> Iterator[Meant]:
    """Blocks on one line, `for c in pool: score c by orm`, and two statements on one."""
    two = re.match(r"^(\w+ = [^()=]+?)[;,]? (\w+ = [^=]+)$", code)
    if two is not None:
        yield Meant(f"{two[1]}\n{two[2]}", 1, complete=True)
    then = re.match(r"^((?:score|rate|force|let) .+?)(?:,| then\b| and\b)+ (?=[a-z])(.+)$", code)
    if then is not None:
        for first in _meanings(then[1], names, last=False):
            if not first.complete or first.cost > MOST_SHOWN:
                continue
            for second in _meanings(then[2], names, last=False):
                cost = max(first.cost, 0) + second.cost + 0.5
                line = f"{first.line}\n{second.line}"
                if second.cost < MOST_SHOWN + MISSING:
                    yield Meant(line, cost, second.complete)
    arm = re.match(r"^(above [^:]+|otherwise|else): *(\S.*)$", code)
    if arm is not None:
        for meaning in _meanings(arm[2], names, last=arm[2].split()[0] in _RETURNING):
            yield Meant(f"{arm[1]}: {meaning.line}", meaning.cost, meaning.complete)
        return
    block = re.match(r"^((?:if|while|unless|when|repeat|for|foreach)\b[^:]*): *(\S.*)$", code)
    if block is None:
        return
    head, body = block[1], block[2]
    each_row = re.match(r"for(?:each)? (?:each )?(\w+) in (\w+)$", head)
    if each_row is not None and each_row[2] in names.pools:
        yield Meant(re.sub(rf"\b{each_row[1]}\b", each_row[2], body), 0.5, complete=True)
        return
    otherwise = re.match(r"(.*\S) else:? *(.*)$", body)
    tail = f"\nelse: {otherwise[2]}" if otherwise is not None else ""
    body = otherwise[1] if otherwise is not None else body
    for meaning in _meanings(f"{head}:", names, last=False):
        if meaning.complete and meaning.cost < MOST_SHOWN:
            yield Meant(f"{meaning.line} {body}{tail}", meaning.cost + 0.1, complete=True)
    if tail:
        yield Meant(f"{head}: {body}{tail}", 0.3, complete=True)


def _phrases(code: str, names: KnownNames, target: str) -> Iterator[Filled]:
    """The phrases that some words can mean."""
    words = words_of(code, names)
    if " ".join(words).lower() in _NOTHING:
        yield Filled("none", 0, complete=True, verb="")
        return
    vague = words and words[0].lower() not in {
        "score",
        "rate",
        "grade",
        "evaluate",
        "judge",
        "verify",
    }
    vague = vague and any(word.lower() in SCORES for word in words[1:])
    scores = names.scored if vague and names.scored else ("",)
    for aggregates, score in product((False, True), scores):
        reader = LineReader(words, names, aggregates, [], [], score)
        items = _nested(reader.items(), names, words)
        if not items:
            continue
        plain = [item for item in items if item.text not in _NOISE]
        if len(plain) == 1 and len(items) <= 3 and items[-1] is plain[0]:
            items = plain
        value = items[0] if len(items) == 1 else None
        ends = [items[0], items[-1]]
        applied = len(items) == 3 and items[1].means("of", "by") and ends[0].means("strategy")
        if applied and ends[1].kind == "pool" and not ends[1].means("strategy"):
            yield Filled(f"{ends[0].text} on {ends[1].bound}", 0.3, complete=True, verb="")
        if value is not None and value.kind in {"num", "row", "text", "flag", "pool"}:
            new = target not in names.pools and target
            yield Filled(value.text, 0.5 * (aggregates and not new), complete=True, verb="")
        if len(items) == 3 and [item.kind for item in items] == ["row", "mark", "pool"]:
            row, small, pool = items
            if small.means("of") and target and target not in names.pools:
                how = "first" if row.text in {"answer", "text", "finish"} else "mean"
                text = f"{how}({row.text} of {pool.text})"
                yield Filled(text, 0, complete=how == "first", verb="")
        several = [word for word in dict.fromkeys(words) if word in names.steps | names.solutions]
        if len(several) == 2 and items[0].means("score") and items[0].means("nothing"):
            pools = [item.text for item in items if item.kind == "pool"] or names.pools[:1]
            text = "\n".join(f"score {pools[0]} by {each}" for each in several)
            yield Filled(text, 0.5, complete=True, verb="score")
        owners = [each for each in reader.owners if each not in {i.text for i in items}]
        if owners:
            items.append(Item("pool", owners[0]))
        yield from fillings(items, names, target)
        yield from _composed(items, names, target)


def _nested(items: Sequence[Item], names: KnownNames, words: Sequence[str]) -> list[Item]:
    """Phrases in parentheses as one pool each."""
    nested: list[Item] = []
    at = 0
    while at < len(items):
        end = _closing(items, at) if items[at].text == "(" else 0
        before = nested[-1] if nested else None
        called = before is not None and before.kind in {"mark", "word", "prompt", "strategy"}
        inner = items[at + 1] if at + 1 < len(items) else items[at]
        verbal = inner.kind == "mark" and inner.text in FORMS
        inside = items[at + 1 : end] if end else []
        verbal = verbal or any(item.text == "where" for item in inside)
        glued = (
            called and not verbal and items[at].at and at and items[at].at - 1 == items[at - 1].at
        )
        if end and not (glued and called and before is not None and _is_call(words, items[at].at)):
            inside = items[at + 1 : end]
            best = min(
                (
                    filling
                    for filling in fillings(inside, names, "")
                    if filling.complete and filling.cost <= MOST_SHOWN
                ),
                key=lambda filling: filling.cost,
                default=None,
            )
            if best is not None and best.verb not in _STATEMENTS:
                nested.append(Item("pool", best.text, simple=False))
                at = end + 1
                continue
            if verbal:
                nested.append(Item("word", "("))  # what is in it belongs together
                at += 1
                continue
        nested.append(items[at])
        at += 1
    return nested


def _is_call(words: Sequence[str], at: int) -> bool:
    """Whether a parenthesis may belong to the word before it: all do that follow no small word."""
    return at >= 2 and words[at - 2] not in {
        "of",
        "by",
        "on",
        "about",
        "into",
        "vote",
        "in",
        "from",
    }


def _closing(items: Sequence[Item], at: int) -> int:
    depth = 0
    for place in range(at, len(items)):
        depth += items[place].text == "("
        depth -= items[place].text == ")"
        if depth == 0:
            return place
    return 0


def _composed(items: Sequence[Item], names: KnownNames, target: str) -> Iterator[Filled]:
    """A verb on what another gives: `vote (select top 4 of pool by orm)`."""
    verbs = [
        at
        for at, item in enumerate(items)
        if item.kind in {"mark", "prompt"} and not item.means("nothing")
    ]
    for inside, before, after in _spans(items, verbs[1:4]):
        inner = min(
            (
                filling
                for filling in fillings(inside, names, target)
                if filling.complete and filling.verb not in _STATEMENTS
            ),
            key=lambda filling: filling.cost,
            default=None,
        )
        if inner is None or inner.cost > MOST_SHOWN:
            continue
        pool = Item("pool", inner.text, simple=False)
        for filling in fillings([*before, pool, *after], names, target):
            if filling.complete and inner.text in filling.text and filling.verb != inner.verb:
                cost = max(filling.cost, 0) + max(inner.cost, 0) + 1
                yield replace(filling, cost=cost, pool=inner.pool)


def _spans(
    items: Sequence[Item], verbs: Sequence[int]
) -> Iterator[tuple[Sequence[Item], Sequence[Item], Sequence[Item]]]:
    """Parts of a line that may be a phrase of their own, with the parts before and after."""
    for at in verbs:
        yield items[at:], items[:at], ()
        yield items[:at], (), items[at:]
        ends = [end for end in range(at + 3, len(items)) if items[end].kind == "mark"]
        for end in ends[:4]:
            yield items[at:end], items[:at], items[end:]


def reader_row(code: str, names: KnownNames) -> bool:
    """Whether a text is a value that differs from row to row."""
    items = LineReader(words_of(code, names), names).items()
    return len(items) == 1 and items[0].kind in {"row", "scorer", "flag"}
