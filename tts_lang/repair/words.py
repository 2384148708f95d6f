"""Forms of verbs and statements, notes, and small words that repairs use besides rewrites."""

from __future__ import annotations

import re

from tts_lang.plan.clauses import clauses
from tts_lang.plan.operator import OperatorEntry
from tts_lang.plan.ops import POOL_VERBS

_PARTS = {
    "P": r"([A-Za-z_]\w*)",
    "K": r"(\w+(?: ?[-/*] ?\w+)?)",
    "S": "(\x01\\d+\x01)",
}
#: Words that may be missing, or meant by another word, where a line stops to parse.
CONNECTIVES = (
    *("of", "by", "to", "into", "about", "weighted by", "where", "at temperature", "at"),
    *("until", "from", "per", "=", ":", ","),
)
#: Words and signs that people write for one of them.
WRONG_CONNECTIVES = frozenset(
    [
        "with",
        "using",
        "on",
        "in",
        "for",
        "from",
        "over",
        "among",
        "via",
        "at",
        "to",
        "into",
        "by",
        "of",
        "as",
        "times",
        "after",
        "onto",
        "about",
        "per",
        "and",
        "is",
        "than",
        "=",
        "==",
        ":",
        ",",
        ";",
        "against",
        "under",
        "within",
        "toward",
        "towards",
        "through",
    ]
)
#: Words that mean nothing here.
SUPERFLUOUS = frozenset(
    [
        "the",
        "a",
        "an",
        "more",
        "each",
        "every",
        "all",
        "of",
        "is",
        "are",
        "be",
        "then",
        "do",
        "order",
        "sorted",
        "ordered",
        "ranked",
        "copies",
        "times",
        "samples",
        "children",
        "candidates",
        "only",
        "just",
        "also",
        "too",
        "please",
        "by",
        "up",
        ",",
        ";",
        ".",
        "{",
        "}",
    ]
)

_TOP = "imports stand at the top of a file and bring strategies, not Python: "
_NOTES: tuple[tuple[str, str], ...] = (
    (r"^import <P>$|^(?:import|from) <P>.*$", _TOP + r'`import "\1\2.tts"`'),
    (r"^(?:const )?<P> = [\d.]+$", r"constants are parameters: `strategy NAME(\1 = ...):`"),
    (r"^prompt ?= ?.*$", 'a prompt has a name: `prompt NAME = "TEXT"`'),
    (r"^prompt .* \+ .*$", "a prompt is one text: write both parts in one"),
    (r"^print\(\w+\)$", "`--explain` shows a plan, and a run directory every candidate"),
    (r"^(?:print\()?\w+\(.*\)+$", "a file says what to run, `tts-run FILE` runs it"),
    (r"^read .* retry.*$", "`retry N` stands on a line of its own"),
    (r"^assert .*$", "`if CONDITION:` in a strategy; `law S(...) == T(...)` at the top of a file"),
    (r"^try:.*$", "there are no exceptions: what fails is missing, so ask `has(E)`"),
    (r"^for(?:each|) .*$", "write `repeat N:`; a pool's rows are handled all at once"),
    (r"ask <S> about.*$", 'give the text a name at the top of the file: `prompt NAME = "..."`'),
    (r"\bask about ", "name the prompt: `ask PROMPT about P`"),
    (r"\bseed ", "seeds belong to the run: `tts-run --seed N`"),
    (r"\b\w+_penalty\b", "clauses are `at temperature`, `top_p`, `top_k` and `min_p`"),
    (r"= f<S>", "texts are joined by `+`; braces are slots in prompts alone"),
    (r"\b(?:copy|duplicate) <P>$", r"write `fork \1 into 2`"),
    (r"[-+*/] *$", "a value belongs behind the last operator"),
    (r"^with <P>:$", r"a policy is named by the verb: `sample 4 from \1`"),
    (r"= map\(.*$", "a pool's rows are handled all at once: `ask PROMPT about P`"),
    (r"\b(?:and|or|not) *$", "a condition belongs behind the last word"),
    (r"\bstarts? ?with\b", 'there is `text contains "T"`, and `extract("REGEX", text)`'),
    (r"\bper (?:trees?|groups?)\b", "a key is a column: `per root`, `per parent`, `per answer`"),
)


def _note(pattern: str, note: str) -> tuple[re.Pattern[str], str]:
    """A note with its placeholders filled in: `P` a name, `K` a number or name, `S` a text."""
    for name, part in _PARTS.items():
        pattern = pattern.replace(f"<{name}>", part)
    return re.compile(pattern), note


#: Notes for lines that no rewrite helps. Patterns see a line whose texts are hidden.
NOTES: tuple[tuple[re.Pattern[str], str], ...] = tuple(_note(*each) for each in _NOTES)

_CLAUSES = (
    "[at temperature E] [max E tokens] [stop at TEXT] [stop when C] [matching TEXT] "
    "[one of TEXT, TEXT] [avoiding TEXT ...] [from POLICY]"
)


def _form(verb: OperatorEntry) -> str:
    """The form of a verb on a pool, from its entry."""
    fields = clauses(verb.spec)

    def letter(name: str) -> str:
        if name == "0":
            return "P"
        clause = fields.get(name)
        if clause is None:
            return name
        if clause.column:
            return "KEY"
        return "TEXT" if clause.type == "text" else "k" if clause.counts else "E"

    # Optional clauses stand in brackets, with the space before them outside.
    text = str(verb.form).replace("[ ", " [")
    return re.sub(r"\{(\w+)\}", lambda match: letter(match[1]), text)


#: Forms of verbs and statements, by their first word.
FORMS = {word: _form(verb) for word, verb in POOL_VERBS.items()} | {
    "sample": f"sample AMOUNT {_CLAUSES}",
    "expand": f"expand P by AMOUNT {_CLAUSES}",
    "select": "select top k of P by E [per KEY]",
    "best": "best of P by E [per KEY]",
    "first": "first [k] of P [per KEY]",
    "resample": "resample P to n by E [per KEY]",
    "ask": "ask PROMPT about P [together] [per KEY] [with history] [by AMOUNT] [at temperature E]",
    "descend": "descend T by E [times k] [staying by F]",
    "cut": "cut P to E steps",
    "score": "score P by S [times k] [looking ahead k steps] [per KEY]",
    "force": "force TEXT into P",
    "let": "let NAME of P = E",
    "backup": "backup T from P by E [keeping max]",
    "repeat": "repeat N [until C]:",
    "if": "if C:",
    "choose": "choose by E:",
    "read": "read number from 0 to 10",
    "retry": "retry N",
    "import": 'import "FILE.tts"',
    "policy": "policy NAME",
    "scorer": "scorer NAME [per solution] [from A to B]",
    "prompt": 'prompt NAME[(PARAMETERS)] = "TEXT"',
    "judge": "judge NAME [together] [with history] [from POLICY] [at temperature E]:",
    "strategy": "strategy NAME(PARAMETER = VALUE, ...):",
    "law": "law S(ARGUMENTS) == T(ARGUMENTS)",
}
