"""A Pygments lexer for `.tts` files: for documentation, notebooks and `pygmentize -l tts`.

Registered as an entry point of Pygments, so that whatever uses Pygments (MkDocs, Sphinx, Rich)
knows the language once this package is installed. The words are those of the tokenizer.
`textmate_grammar` says the same for editors: docs/editors/vscode has it as a file.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
)

from tts_lang.check import builtins
from tts_lang.syntax.words import (
    HARD_WORDS,
    ITEM_WORDS,
    NAME,
    SOFT_WORDS,
    STATEMENT_WORDS,
    UNIT_WORDS,
    VERBS,
)

_LOGIC = frozenset({"and", "or", "not"})
_CONTROL = frozenset({"repeat", "until", "if", "else", "choose", "where"})
_VERBS = (VERBS | STATEMENT_WORDS | _CONTROL) - {"first"}
_OTHERS = (HARD_WORDS | SOFT_WORDS | UNIT_WORDS.keys()) - _VERBS - ITEM_WORDS - _LOGIC
_GIVEN = frozenset((*builtins.POOLS, *builtins.DELIMITERS))


class TtsLexer(RegexLexer):
    """Tokens of a strategy file; a soft word that is plainly a name (`best = ...`) is a name."""

    name = "tts-lang"
    aliases: ClassVar[list[str]] = ["tts", "tts-lang"]
    filenames: ClassVar[list[str]] = ["*.tts"]
    url = "https://github.com/tts-lang/tts-lang"

    tokens: ClassVar[dict[str, list[object]]] = {
        "root": [
            (r"\s+", Text),
            (r"#.*$", Comment.Single),
            (r'"""(?:[^\\]|\\.)*?"""', String.Doc),
            (r'"(?:[^"\\\n]|\\.)*"', String.Double),
            (r"\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?%?", Number),
            (rf"{NAME}(?=\s*=(?!=))", Name.Variable),
            (rf"{NAME}(?=\()", Name.Function),
            (words(sorted(ITEM_WORDS), prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (words(sorted(_LOGIC), prefix=r"\b", suffix=r"\b"), Operator.Word),
            (words(sorted(_VERBS), prefix=r"\b", suffix=r"\b"), Keyword),
            (words(sorted(_OTHERS), prefix=r"\b", suffix=r"\b"), Keyword.Pseudo),
            (NAME, Name),
            (r"\*\*|[=!<>]=|[-+*/<>=]", Operator),
            (r"[(),:]", Punctuation),
        ],
    }  # fmt: skip


# ------------------------------------------------------------------------------ TextMate


def _any_of(those: frozenset[str]) -> str:
    return rf"\b(?:{'|'.join(sorted(those))})\b"


_SLOT = r"\{ *[A-Za-z_][\w.]*(?: +last +\w+)? *\}"


def textmate_grammar() -> dict[str, Any]:
    """The grammar for VS Code, GitHub and other readers of TextMate grammars, as JSON values."""
    slots = {"match": rf"\{{\{{|\}}\}}|({_SLOT})", "name": "constant.other.placeholder.tts"}
    escape = {"match": r'\\[nt"\\]', "name": "constant.character.escape.tts"}
    simple = {
        "constant.numeric.tts": r"(?<![\w.])\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?%?",
        "variable.other.assignment.tts": rf"\b{NAME}(?=\s*=(?!=))",
        "support.function.tts": rf"{_any_of(frozenset(builtins.FUNCTIONS))}(?=\()",
        "entity.name.function.call.tts": rf"\b{NAME}(?=\()",
        "storage.type.tts": _any_of(ITEM_WORDS),
        "keyword.operator.word.tts": _any_of(_LOGIC),
        "keyword.control.tts": _any_of(_VERBS),
        "keyword.other.tts": _any_of(_OTHERS),
        "support.variable.column.tts": _any_of(frozenset(builtins.COLUMNS) - _OTHERS),
        "constant.language.tts": _any_of(_GIVEN),
        "keyword.operator.tts": r"\*\*|[=!<>]=|[-+*/<>=]",
        "punctuation.separator.tts": r"[,:]",
    }
    declared = {
        "match": rf"^(strategy|judge|prompt|policy|scorer)\s+({NAME})",
        "captures": {
            "1": {"name": "storage.type.tts"},
            "2": {"name": "entity.name.function.tts"},
        },
    }
    texts = [
        {
            "begin": '"""',
            "end": r'"""(?!")',
            "name": "string.quoted.triple.tts",
            "patterns": [slots],
        },
        {
            "begin": '"',
            "end": r'"|$',
            "name": "string.quoted.double.tts",
            "patterns": [escape, slots],
        },
    ]
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "tts-lang",
        "scopeName": "source.tts",
        "fileTypes": ["tts"],
        "patterns": [
            {"match": "#.*$", "name": "comment.line.number-sign.tts"},
            *texts,
            declared,
            *({"match": pattern, "name": name} for name, pattern in simple.items()),
        ],
    }
