"""Meanings of declarations, headers and the lines of judges and branches: word for word.

They have few parts in a fixed order, so what is known of each part is read off and written again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tts_lang.diagnostics import suggest
from tts_lang.repair.reading import LineReader
from tts_lang.repair.sampling import sampling_of
from tts_lang.repair.scope import KnownNames, words
from tts_lang.repair.spelling import straight, words_of
from tts_lang.syntax.words import ITEM_WORDS

_TEXT = r'(?:"""[^"]*"""|"(?:\\.|[^"\\])*")'
_NUMBER = r"-?\d[\d_.]*%?"
_HEADS: dict[str, frozenset[str]] = {
    "strategy": words(
        "def fn fun func function method define class program procedure proc algorithm async "
        "public export workflow pipeline routine search tactic"
    ),
    "prompt": words("template message instruction question"),
    "scorer": words("reward verifier rm score scoring evaluator reward_model critic"),
    "policy": words("model llm lm generator sampler engine"),
    "judge": words("grader rater evaluator"),
    "import": words("include use require load from using"),
    "law": words("assert axiom rule property theorem claim invariant"),
}
_READINGS: dict[str, str] = {
    **dict.fromkeys(
        ("number", "score", "float", "int", "integer", "rating", "value", "grade", "real"), "number"
    ),
    **dict.fromkeys(("digit", "percentage", "numeric", "numbers", "num", "double"), "number"),
    **dict.fromkeys(("choice", "option", "label", "one", "choices", "category", "class"), "choice"),
    **dict.fromkeys(("ranking", "rank", "order", "ranks"), "ranking"),
    **dict.fromkeys(("probability", "prob", "p", "likelihood"), "probability"),
}
#: Values that some words of a judge have by themselves.
_TRUTH = {
    **dict.fromkeys(("yes", "true", "correct", "right", "good", "valid", "pass"), "1"),
    **dict.fromkeys(("no", "false", "incorrect", "wrong", "bad", "invalid", "fail"), "0"),
}
_SCORER_WORDS = words(
    "per each for step steps solution solutions answer answers sample samples candidate "
    "candidates response responses outcome together from to between and in range scale of "
    "per_step true every with a by process type"
)
_RANGE = re.compile(
    rf"(?:from|between|in|range|scale|of|,|\[|\()?\s*[\[(]?\s*({_NUMBER})\s*(?:to|and|-|\.\.+|,|\u2013|until)\s*"
    rf"({_NUMBER})\s*[\])]?"
)
_ELSE_IF = re.compile(
    r"^(?:elif|elseif|elsif|else +if|or if|otherwise if|else when)\b *(.+?)(?: then)? *"
    r"(?:[:{]\s*(.*))?$"
)


def item_lines(
    code: str, above: str, names: KnownNames, indent: str
) -> Iterator[tuple[str, float]]:
    """Lines that may be meant, with their costs; `above` is the text above the line."""
    if not indent:
        yield from _top(code, names)
        return
    heads = re.findall(r"^(\w+)", above, re.MULTILINE)
    if heads and heads[-1] == "judge":
        yield from _reading(straight(code))
        return
    yield from _branch(code)


# ------------------------------------------------------------------------------ declarations


def _head(word: str) -> str | None:
    """The item that a first word is for."""
    lowered = word.lower()
    if lowered in ITEM_WORDS:
        return lowered
    for item, others in _HEADS.items():
        if lowered in others:
            return item
    return suggest(lowered, ITEM_WORDS)


def _top(code: str, names: KnownNames) -> Iterator[tuple[str, float]]:
    named = re.match(r"(\w+)\s*(?:=|:=|:|is)\s*(?:a |an |new )?(\w+)\b(.*)$", code)
    if (
        named is not None
        and named[1] not in ITEM_WORDS
        and _head(named[2]) in {"scorer", "policy", "prompt"}
    ):
        code = f"{named[2]} {named[1]}{named[3]}"
    words = re.findall(r"\w+", code)
    head = _head(words[0]) if words else None
    if head is None and " scorer " not in code:
        return
    described = re.match(r"(\w+) (scorer)\b(.*)$", code)
    if described is not None and described[1] not in ITEM_WORDS:  # `outcome scorer orm`
        code, head = f"scorer{described[3]} {described[1]}", "scorer"
    rest = re.sub(r"^\W*\w+\s*:?\s*", "", code)
    if head == "strategy":
        while (again := re.match(r"(\w+)\s+(?=\w)", rest)) and _head(again[1]) == "strategy":
            rest = rest[again.end() :]
        header = _header(rest, names)
        if header is not None:
            yield header, 0.5
    elif head == "prompt" or head == "judge":
        declaration = re.match(rf"(\w+)\s*(\([^)]*\))?\s*(?:=|:|:=|is|->|==)?\s*f?({_TEXT})$", rest)
        quoted = re.match(rf"{_TEXT[:0]}\"(\w+)\"\s*(\([^)]*\))?\s*[=:]?\s*f?({_TEXT})$", rest)
        declaration = quoted or declaration
        if declaration is not None and head == "prompt":
            yield f"prompt {declaration[1]}{declaration[2] or ''} = {declaration[3]}", 0.5
        unquoted = re.match(r"(\w+)\s*(\([^)]*\))?\s*[=:]\s*([^\"]*\{[^\"]*)$", rest)
        if unquoted is not None and head == "prompt":
            yield f'prompt {unquoted[1]}{unquoted[2] or ""} = "{unquoted[3].strip()}"', 0.5
        if head == "judge" and (judge := _judge(rest, names)) is not None:
            yield judge, 0.5
    elif head == "scorer":
        yield from _scorer(rest)
    elif head == "policy":
        declaration = re.match(rf"(\w+)\s*(?:[=:]\s*{_TEXT}|\(.*\))?$", rest)
        if declaration is not None:
            yield f"policy {declaration[1]}", 0.5
    elif head == "import":
        name = re.match(r"[\"']?([\w/.-]+?)(?:\.tts)?[\"']?(?: +(?:as|import)\b.*)?;?$", rest)
        if name is not None:
            yield f'import "{name[1]}.tts"', 0.5
    elif head == "law":
        sides = re.match(
            r"(?:that |\w+ *[:=] *)?(.+?\)) *(?:===?|=|equals|is|<=>|same as) *(\w.*\))$", rest
        )
        if sides is not None:
            yield f"law {sides[1]} == {sides[2]}", 0.5


def _header(rest: str, names: KnownNames) -> str | None:
    """`strategy NAME(PARAMETERS) CLAUSES:` from the text after the head word."""
    match = re.match(r"([\w-]+)\s*(.*)$", rest)
    if match is None:
        return None
    name = re.sub(r"^(\d+)_?(\w+)", r"\2_\1", match[1].replace("-", "_"))
    after = re.sub(r"\s*(?:(?:\bdo\b|\bthen\b)?\s*[:{=]|->\s*\w*\s*:?)?\s*$", "", match[2])
    inside = re.match(r"[({\[](.*?)[)}\]](.*)$", after)
    bare = re.match(
        r"(?:with |taking )?(\w+ *[=:]+ *[\w.%]+(?:[ ,;]+\w+ *[=:]+ *[\w.%]+)*)(.*)$", after
    )
    listed, tail = "", after
    if inside is not None:
        listed, tail = inside[1], inside[2]
    elif bare is not None and not after.startswith(("at ", "temperature", "max", "top_p")):
        listed, tail = bare[1], bare[2]
    tail = re.sub(r"->\s*\w+", "", tail)
    parameters = _parameters(listed)
    if parameters is None:
        return None
    clauses = ""
    if tail.strip():
        sampling = sampling_of(LineReader(words_of(f"sample 1 step {tail}", names), names).items())
        unread = [
            item for item in sampling.rest if not item.means("sample", "nothing", "at", "from")
        ]
        if unread or not sampling.clauses:
            return None
        clauses = " ".join(["", *sampling.clauses])
    return f"strategy {name}({', '.join(parameters)}){clauses}:"


def _judge(rest: str, names: KnownNames) -> str | None:
    """`judge NAME VIEW CLAUSES:` from the text after the head word."""
    match = re.match(r"(\w+)\s*(\([^()]*=[^()]*\)|\(\w+(?:, *\w+)*\))?\s*(.*)$", rest)
    if match is None or '"' in match[3]:
        return None
    tail = re.sub(r"[\s:{=]+$", "", match[3]).strip("() ")
    reader = LineReader(words_of(f"sample 1 step {tail}", names), names)
    sampling = sampling_of(reader.items())
    views = ("together", "pairwise", "with history")
    unread = [
        item
        for item in sampling.rest
        if item.text != "pairwise"
        and not item.means("sample", "nothing", "at", "from", "all", "per", *views)
    ]
    if unread:
        return None
    clauses = [view for view in views if re.search(rf"\b{view.split()[-1]}\b", tail)]
    if not clauses and any(item.means("together") for item in sampling.rest):
        clauses = ["together"]
    return " ".join(["judge", f"{match[1]}{match[2] or ''}", *clauses, *sampling.clauses]) + ":"


def _parameters(listed: str) -> list[str] | None:
    """Parameters without types, with `=` before their defaults."""
    parameters: list[str] = []
    for part in re.split(r"[;,](?![^(]*\))| (?=\w+ *[=:])(?<=[\d%] )", listed):
        if not part.strip():
            continue
        one = re.fullmatch(
            r"\s*(?:(?:int|float|str|bool|number|num|let|var) +)?([A-Za-z_][\w-]*)\s*"
            r"(?:: *[A-Za-z]\w*)?\s*(?:(?:==?|:=|:| ) *(.*?))?\s*",
            part,
        )
        if one is None:
            return None
        name = one[1].replace("-", "_")
        value = one[2]
        if value is not None:
            value = {"True": "1", "true": "1", "False": "0", "false": "0"}.get(value, value)
            value = re.sub(r"^(\d+)k$", r"\g<1>_000", value)
        parameters.append(name if not value else f"{name} = {value}")
    return parameters


def _scorer(rest: str) -> Iterator[tuple[str, float]]:
    match = re.match(r"(\w+)\s*(.*)$", rest)
    if match is None:
        return
    name, tail = match[1], match[2]
    parts = []
    if re.search(r"\bsteps?\b|per_step|\bprocess\b", tail):
        parts.append("per step")
    elif re.search(r"\b(?:solutions?|answers?|samples?|candidates?|responses?|outcome)\b", tail):
        parts.append("per solution")
    elif re.search(r"\bper\b", tail):
        return
    if "together" in tail:
        parts.append("together")
    if (scale := _RANGE.search(re.sub(_TEXT, "", tail))) is not None:
        parts.append(f"from {scale[1]} to {scale[2]}")
    if (field := re.search(rf"\bfield\s*=?\s*({_TEXT}|\w+)", tail)) is not None:
        parts.append(f"field {field[1]}" if field[1].startswith('"') else f'field "{field[1]}"')
        tail = tail.replace(field[0], "")
    unknown = set(re.findall(r"[a-z]\w*", re.sub(_TEXT, "", tail))) - _SCORER_WORDS
    if unknown:
        return
    yield " ".join(["scorer", name, *parts]), 0.5


# ------------------------------------------------------------------------------ judges, branches


def _reading(code: str) -> Iterator[tuple[str, float]]:
    """`read KIND [of TEXTS] [after TEXT] [from A to B]`, and `retry N`."""
    retried = re.match(
        r"(?:max(?:imum)?[ _])?(?:retry|retries|retrying|try|tries|attempts|repeat)\b\D*?"
        r"(\d+|once|twice)\b",
        code,
    )
    if retried is not None and retried[1]:
        count = {"once": "1", "twice": "2"}.get(retried[1], retried[1])
        yield f"retry {count}", 0.5
        return
    joined = re.match(r"(read .*?),? (retry \d+)$", code)
    if joined is not None:
        yield f"{joined[1]}\n{joined[2]}", 0.2
        return
    lowered = re.sub(_TEXT, lambda text: text[0].replace(" ", "\x01"), code)
    kinds = [_READINGS[w] for w in re.findall(r"[a-z]+", lowered.lower()) if w in _READINGS]
    after = re.search(rf"\b(?:after|behind|following|marker)\s*=?\s*({_TEXT}|\w+:?)", code)
    marker = "" if after is None else after[1] if after[1].startswith('"') else f'"{after[1]}"'
    marked = f" after {marker}" if marker else ""
    plain = code.replace(after[0], "") if after is not None else code
    texts = re.findall(rf"({_TEXT})(?:\s*(?:=|:|->|=>|is|\()\s*({_NUMBER}))?", plain)
    if not texts:
        texts = [
            (f'"{word}"', value)
            for word, value in re.findall(rf"\b(\w+)\s*(?:=|:|->)\s*({_NUMBER})", plain)
            if word not in {"from", "to"}
        ]
    named = re.findall(r"\b(yes|no|true|false|Yes|No|True|False|correct|wrong)\b", plain)
    if not texts and named and "number" not in kinds:
        texts = [(f'"{word}"', "") for word in dict.fromkeys(named)]
    scale = _RANGE.search(re.sub(_TEXT, "", plain))
    ranged = f" from {scale[1]} to {scale[2]}" if scale is not None else ""
    if scale is None and (most := re.search(rf"\b(?:out of|up to|of|/) ?({_NUMBER})", plain)):
        ranged = f" from 0 to {most[1]}"
    if not ranged and re.search(r"\bpercent", plain):
        ranged = " from 0 to 100"
    if "probability" in kinds and texts:
        yield f"read probability of {texts[0][0]}{marked}", 0.5
    elif "ranking" in kinds:
        yield f"read ranking{marked}", 0.5
    elif texts and ("choice" in kinds or not ranged):
        values = [value or _TRUTH.get(word.strip('"').lower(), "") for word, value in texts]
        pairs = ", ".join(
            f"{word} = {value}" if value else word
            for (word, _), value in zip(texts, values, strict=True)
        )
        if len(texts) > 1:
            yield f"read choice of {pairs}{marked}", 0.5
    elif re.search(r"\bbool(?:ean)?\b|\bflag\b", plain):
        yield 'read choice of "yes" = 1, "no" = 0', 1
    elif ranged or "number" in kinds:
        yield f"read number{marked}{ranged}", 0.5


def _branch(code: str) -> Iterator[tuple[str, float]]:
    """Arms of `choose`, and `else if`."""
    only = re.fullmatch(r"(\w+) *[:{]?", code)
    close = suggest(only[1], ["else", "otherwise"]) if only is not None else None
    if close is not None:
        yield f"{close}:", 0.3
    again = _ELSE_IF.match(code)
    if again is not None:
        tail = f" {again[2].strip()}" if again[2] else ""
        yield f"else if {again[1]}:{tail}", 0.3
    other = re.match(r"(?:else|default|otherwise|case _|_)\s*:?\s*(.*)$", code)
    if other is not None:
        tail = f" {other[1]}" if other[1] else ""
        yield f"otherwise:{tail}", 0.6
        yield f"else:{tail}", 0.4
    arm = re.match(
        r"(?:case|when|if|over|>|>=|below|under|at least|more than|greater than|exceeds)\s*"
        rf"(?:>=?\s*)?({_NUMBER})\s*:\s*(.*)$",
        code,
    )
    if arm is not None:
        yield f"above {arm[1]}: {arm[2]}".rstrip(), 0.6
