"""A Pygments lexer for `.tts` files: for documentation, notebooks and `pygmentize -l tts`.

Registered as an entry point of Pygments, so that whatever uses Pygments (MkDocs, Sphinx, Rich)
knows the language once this package is installed. The words are those of the tokenizer.
"""

from __future__ import annotations

from typing import ClassVar

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
