"""The words and signs of the language, and how messages spell each terminal of the grammar."""

from __future__ import annotations

import re

from tts_lang.plan.ops import POOL_VERBS

_HARD = (
    "about all and any ask at backup by choose else expand force from if import into law let "
    "lowest not of on or per repeat return sample score select strategy tail to until weighted "
    "where within"
)
_SOFT = (
    "above after ahead avoiding below best contains done end ends field first fresh history judge "
    "keeping least likeliest looking matching max min_p most one otherwise pairwise policy prompt "
    "read retry rounding scorer share staying stop temperature times together top top_k top_p up "
    "when with x"
)
_VERBS = "sample expand select best first ask"
_STATEMENTS = "score force let backup repeat if choose return"
_ITEMS = "import policy scorer prompt judge strategy law"

# Words that can never be names, and words that are names wherever they cannot be anything else.
HARD_WORDS = frozenset(_HARD.split()) | POOL_VERBS.keys()
SOFT_WORDS = frozenset(_SOFT.split())

#: A name, as a regular expression.
NAME = "[A-Za-z_][A-Za-z0-9_]*"

VERBS = frozenset(_VERBS.split()) | POOL_VERBS.keys()
STATEMENT_WORDS = frozenset(_STATEMENTS.split())
ITEM_WORDS = frozenset(_ITEMS.split())

UNIT_WORDS = {
    "solution": "SOLUTION",
    "solutions": "SOLUTION",
    "step": "STEP",
    "steps": "STEP",
    "thought": "THOUGHT",
    "thoughts": "THOUGHT",
    "token": "TOKEN",
    "tokens": "TOKEN",
}

TERMINALS = {word: word.upper() for word in HARD_WORDS | SOFT_WORDS} | UNIT_WORDS

SIGNS = {
    "(": "LPAR",
    ")": "RPAR",
    ",": "COMMA",
    ":": "COLON",
    "=": "ASSIGN",
    "==": "EQ",
    "!=": "NE",
    "<=": "LE",
    ">=": "GE",
    "<": "LT",
    ">": "GT",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "SLASH",
    "**": "POWER",
}

# Names of terminals in messages; terminals that mean one thing share a spelling.
SPELLINGS = {
    "NAME": "a name",
    "INTEGER": "a number",
    "FLOAT": "a number",
    "PERCENT": "a number",
    "STRING": "a text in quotes",
    "TEXT": "a text in quotes",
    "NL": "the end of the line",
    "INDENT": "an indented block",
    "DEDENT": "the end of the block",
    "$END": "the end of the file",
    "SOLUTION": "`solutions`",
    "STEP": "`steps`",
    "THOUGHT": "`thoughts`",
    "TOKEN": "`tokens`",
}
SPELLINGS |= {terminal: f"`{sign}`" for sign, terminal in SIGNS.items()}
SPELLINGS |= {word.upper(): f"`{word}`" for word in HARD_WORDS | SOFT_WORDS}


def is_name(text: str) -> bool:
    """Whether a text can be a name in a strategy file."""
    return re.fullmatch(NAME, text) is not None and text not in HARD_WORDS
