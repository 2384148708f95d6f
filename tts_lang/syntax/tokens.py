"""Source text to tokens: words, numbers, texts, and the layout (NL, INDENT, DEDENT).

Written by hand because a lexer driven by the grammar cuts keywords out of words (`bywidth`), and
loses the positions of layout tokens. Mistakes are reported here, at their own place; an ERROR token
tells the parser that this statement is broken and that the user knows already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tts_lang.diagnostics import error
from tts_lang.source import Span
from tts_lang.syntax.literals import number_problem
from tts_lang.syntax.words import NAME, SIGNS, TERMINALS

if TYPE_CHECKING:
    from tts_lang.diagnostics import Diagnostic
    from tts_lang.source import Source

#: Behind `one` in `one of`; anything else behind it, and it is a name.
_OF = re.compile(r"[ \t]+of\b")

# Deeper nesting is never meant, and later stages walk the tree by recursion.
MAX_NESTING = 50


class Token(NamedTuple):
    """A terminal of the grammar at its place; layout tokens are empty and follow the last word."""

    type: str
    text: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        """The range of characters of the token."""
        return Span(self.start, self.end)


class Comment(NamedTuple):
    """A comment, `#` included; `alone` if nothing precedes it on its line."""

    start: int
    end: int
    alone: bool


@dataclass(slots=True)
class Tokens:
    """The result of reading one source."""

    tokens: list[Token] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)


_TOKEN = re.compile(
    rf"""(?P<space>\ +)|(?P<word>{NAME})"""
    r"""
    |(?P<newline>\n)
    |(?P<comment>\#[^\n]*)
    |(?P<number>(?:\.\d|\d)[0-9A-Za-z_]*(?:\.[0-9A-Za-z_]*)?(?:(?<=[0-9][eE])[+-][0-9]+)?%?)
    |(?P<text>\"{3})
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"?)
    |(?P<quoted>'(?:[^'\\\n]|\\[^\n])*')
    |(?P<update>(?:\+|-|\*\*|\*|/)=)
    |(?P<sign>\*\*|==|!=|<=|>=(?!=)|[-+*/<>=(),:])
    |(?P<strange>(?:(?!["'\#])[^A-Za-z0-9_\n\ (),:=<>+*/-])+)
    |(?P<other>.)""",
    re.VERBOSE | re.ASCII,
)
_CLOSING = {"}": "{", "]": "["}
_BLANKS = re.compile(r"[^\S\n]*")

_HINTS = {
    "[": "lists do not exist; pools come from `sample` and `expand`",
    "{": "blocks are indented; names stand alone, and slots like `{text}` in prompts",
    ";": "write one statement a line",
    ".": "call functions on values: `last(prm)`; write a number as `0.5`",
    "$": "names stand alone",
    "@": "names stand alone",
    "?": "write `A if CONDITION else B`",
    "\\": "a line continues on the next one if that is indented deeper",
    "^": "write a power as `a ** b`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=`",
    "%": "write a percentage as one number, `10%`; also as the default of a parameter",
    "\u201c": 'texts stand in straight double quotes: "Wait"',
    "\u201d": 'texts stand in straight double quotes: "Wait"',
    "\u2018": 'texts stand in straight double quotes: "Wait"',
    "\u2019": 'texts stand in straight double quotes: "Wait"',
    "'": 'texts stand in straight double quotes: "Wait"',
    "\t": "use spaces",
    "\u00a0": "this is a no-break space; use an ordinary one",
}


def tokenize(source: Source) -> Tokens:
    """All tokens of a source, ended by `$END`. Never raises; findings are in `diagnostics`."""
    return _Tokenizer(source).run()


class _Tokenizer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.result = Tokens()
        self.tokens = self.result.tokens
        self.indents = [0]
        self.brackets: list[Token] = []
        self.statement_indent = 0
        self.strange_line = -1
        self.unopened: set[str] = set()  # brackets that the language does not have
        self.strays: set[tuple[int, int]] = set()  # wrong indentations, reported once a block
        self.reported_depth = False

    def run(self) -> Tokens:
        text, position, length = self.text, 0, len(self.text)
        match_token = _TOKEN.match
        line_start = True
        while position < length:
            if line_start:
                position, line_start = self._indentation(position), False
                continue
            token = match_token(text, position)
            # `other` matches every character but a newline, which has a group of its own.
            if token is None:  # pragma: no cover
                raise AssertionError(f"no token at offset {position}")
            kind, end = token.lastgroup, token.end()
            if kind == "word":
                word = token.group()
                named = word == "one" and not _OF.match(text, end)
                kind = "NAME" if named else TERMINALS.get(word, "NAME")
                self.tokens.append(Token(kind, word, position, end))
            elif kind == "newline":
                line_start = True
            elif kind == "sign":
                self._sign(token.group(), position, end)
            elif kind == "comment":
                self.result.comments.append(Comment(position, end, alone=False))
            elif kind == "number":
                self._number(token.group(), position, end)
            elif kind == "text":
                end = self._block_text(position)
            elif kind in {"string", "quoted"}:
                self._string(token.group(), position, end)
            elif kind == "update":
                self._update(token.group(), position, end)
            elif kind != "space":
                self._strange(position, end)
            position = end
        self._finish()
        return self.result

    # -------------------------------------------------------------------------- layout

    def _indentation(self, position: int) -> int:
        """Handle the start of a line; returns where its first token begins."""
        blanks = _BLANKS.match(self.text, position)
        end = blanks.end() if blanks is not None else position
        following = self.text[end : end + 1]
        if following in {"", "\n"}:
            return end
        if following == "#":
            comment_end = self.text.find("\n", end)
            comment_end = len(self.text) if comment_end < 0 else comment_end
            self.result.comments.append(Comment(end, comment_end, alone=True))
            return comment_end
        lead = self.text[position:end]
        if lead.strip(" "):
            self._report(
                "TTS107", "indentation must be made of spaces", position, end, "indent by 4 spaces"
            )
        self._layout(len(lead.expandtabs(4)), position, end, following)
        return end

    def _layout(self, width: int, start: int, end: int, following: str) -> None:
        if self.brackets:
            if width > self.statement_indent or following == ")":
                return
            self._unclosed()
        if not self.tokens:
            if width > 0:
                self._report("TTS108", "the first line must not be indented", start, end)
            return
        top = self.indents[-1]
        if width > top:
            if self.tokens[-1].type != "COLON":
                return  # a deeper line continues the statement above it
            self._layout_token("NL")
            self.indents.append(width)
            if len(self.indents) - 1 > MAX_NESTING:
                self._too_deep(end, end + 1)
            self._layout_token("INDENT")
        else:
            self._layout_token("NL")
            matches = width in self.indents
            while width < self.indents[-1]:
                # A line between two levels belongs to the nearer one, so that it is read once.
                if not matches and 2 * width >= self.indents[-1] + self.indents[-2]:
                    break
                self.indents.pop()
                self._layout_token("DEDENT")
            if not matches and (len(self.indents), width) not in self.strays:
                self.strays.add((len(self.indents), width))
                columns = ", ".join(str(indent) for indent in self.indents)
                self._report(
                    "TTS108",
                    f"this line is indented by {width} spaces, which matches no line above it",
                    start,
                    end,
                    f"indent by one of: {columns}",
                )
        self.statement_indent = width

    def _layout_token(self, kind: str) -> None:
        end = self.tokens[-1].end
        self.tokens.append(Token(kind, "", end, end))

    def _finish(self) -> None:
        if self.brackets:
            self._unclosed()
        if self.tokens:
            self._layout_token("NL")
            for _ in self.indents[1:]:
                self._layout_token("DEDENT")
            self._layout_token("$END")
        else:
            self.tokens.append(Token("$END", "", 0, 0))

    def _unclosed(self) -> None:
        opener = self.brackets[-1]
        self._report(
            "TTS105", "this `(` is never closed", opener.start, opener.end, "add the matching `)`"
        )
        self._layout_token("ERROR")
        self.brackets.clear()

    def _too_deep(self, start: int, end: int) -> None:
        if not self.reported_depth:
            message = f"nested more than {MAX_NESTING} levels deep"
            self._report("TTS109", message, start, end, "name the parts, or use a strategy call")
            self.reported_depth = True
        self._layout_token("ERROR")

    # -------------------------------------------------------------------------- tokens

    def _sign(self, sign: str, start: int, end: int) -> None:
        token = Token(SIGNS[sign], sign, start, end)
        if sign == "(":
            self.brackets.append(token)
            if len(self.brackets) > MAX_NESTING:
                self.tokens.append(token)
                self._too_deep(start, end)
                return
        elif sign == ")":
            if not self.brackets:
                self._report("TTS106", "this `)` closes nothing", start, end, "remove it")
                self._error_token(start, end)
                return
            self.brackets.pop()
        elif sign == ":" and self.brackets:  # colons never stand in parentheses
            if self._annotates(end):
                self._report("TTS120", "unexpected `:`", start, end, "parameters have no types")
                self._error_token(start, end)
                return
            self._unclosed()
        self.tokens.append(token)

    def _annotates(self, end: int) -> bool:
        """Whether a colon stands before a type, as in `strategy s(n: int = 4):`."""
        rest = self.text[end : self.text.find("\n", end)].partition("#")[0]
        return self.tokens[-1].type == "NAME" and ")" in rest and rest.lstrip()[:1].isalpha()

    def _number(self, literal: str, start: int, end: int) -> None:
        problem, suggestion = number_problem(literal)
        if problem is not None:
            self._report("TTS110", problem, start, end, suggestion)
            literal = "1"
        kind = "INTEGER"
        if literal.endswith("%"):
            kind = "PERCENT"
        elif not literal.replace("_", "").isdigit():
            kind = "FLOAT"
        self.tokens.append(Token(kind, literal, start, end))

    def _block_text(self, start: int) -> int:
        close = self.text.find('"""', start + 3)
        if close < 0:
            self._report(
                "TTS104", 'this """ is never closed', start, start + 3, 'add """ after the text'
            )
            self._error_token(start, len(self.text))
            self.brackets.clear()  # what closes them is inside the text
            return len(self.text)
        while self.text.startswith('"', close + 3):  # a text may end with a quote: `"a""""`
            close += 1
        self.tokens.append(Token("TEXT", self.text[start : close + 3], start, close + 3))
        return close + 3

    def _string(self, literal: str, start: int, end: int) -> None:
        if literal[0] == "'":
            fixed = '"' + literal[1:-1].replace('"', '\\"') + '"'
            self._report("TTS111", "texts stand in double quotes", start, end, f"write {fixed}")
            self.tokens.append(Token("STRING", fixed, start, end))
            return
        if len(literal) < 2 or not literal.endswith('"'):
            self._report(
                "TTS104",
                "this quote is never closed on its line",
                start,
                end,
                'add a closing `"`, or use """ for a text of several lines',
            )
            self._error_token(start, end)
            self.brackets.clear()  # what closes them is inside the text
            return
        for escape in re.finditer(r"\\(.)", literal):
            if escape.group(1) not in 'nt"\\':
                self._report(
                    "TTS112",
                    f"unknown escape `{escape.group()}`",
                    start + escape.start(),
                    start + escape.end(),
                    r'the escapes are \n, \t, \" and \\; in """ a backslash is just a backslash',
                )
        self.tokens.append(Token("STRING", literal, start, end))

    def _update(self, sign: str, start: int, end: int) -> None:
        name = self.tokens[-1].text if self.tokens else ""
        written = f"write `{name} = {name} {sign[:-1]} ...`" if name else None
        self._report("TTS130", f"there is no `{sign}`", start, end, written)
        self._error_token(start, end)

    def _strange(self, start: int, end: int) -> None:
        run = self.text[start:end]
        line = self.source.position(start).line
        # One report a line: a line of garbage is one mistake.
        if line != self.strange_line:
            self.strange_line = line
            character = run[0]
            shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
            control = ord(character) < 32 or ord(character) == 127
            code = "TTS102" if control and character != "\t" else "TTS103"
            hint = _HINTS.get(character)
            if hint is None and character.isalpha():
                hint = "names are made of the letters a to z, digits and `_`"
            elif hint is None and not character.isascii():
                hint = "only comments and texts in quotes may hold it"
            self.unopened.add(character)
            kind = "control character" if code == "TTS102" else "unknown character"
            if _CLOSING.get(character) not in self.unopened:  # else it was said where it opens
                self._report(code, f"{kind} {shown}", start, end, hint)
        if run.strip():
            self._error_token(start, end)

    def _error_token(self, start: int, end: int) -> None:
        self.tokens.append(Token("ERROR", self.text[start:end], start, end))

    def _report(
        self, code: str, message: str, start: int, end: int, suggestion: str | None = None
    ) -> None:
        span = Span(start, max(end, start + 1))
        self.result.diagnostics.append(
            error(code, message, span, self.source, suggestion=suggestion)
        )
