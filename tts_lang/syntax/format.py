"""The canonical layout of a file: spaces, indentation and blank lines; words and comments stay.

It works on the tokens, so that comments keep their places and line breaks inside a statement stay
where their author put them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING

from tts_lang.diagnostics import DiagnosticError
from tts_lang.syntax import nodes
from tts_lang.syntax.literals import block_value
from tts_lang.syntax.parser import parse
from tts_lang.syntax.tokens import tokenize

if TYPE_CHECKING:
    from tts_lang.source import Source
    from tts_lang.syntax.tokens import Comment, Token

_INDENT = 4
_LAYOUT = frozenset({"NL", "INDENT", "DEDENT", "$END"})
_TIGHT_BEFORE = frozenset({"RPAR", "COMMA", "COLON"})


def format_source(source: Source) -> str:
    """The file in canonical layout; its syntax tree is unchanged, and formatting twice is once.

    Raises `DiagnosticError` if the file has syntax errors.
    """
    result = parse(source)
    if not result.ok:
        raise DiagnosticError(result.diagnostics)
    return _Formatter(source, result.file).run()


@dataclass(slots=True)
class _Line:
    """One output line (several if it holds a block text), with the blank lines asked before it."""

    text: str
    level: int
    blank_before: bool
    comment: bool = False
    starts_item: bool = False
    after_header: bool = False


class _Formatter:
    def __init__(self, source: Source, file: nodes.File) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.callees: set[int] = set()
        self.negations: set[int] = set()
        self._note(file)
        self.lines: list[_Line] = []

    def _note(self, root: nodes.SyntaxNode) -> None:
        """Find what tokens alone do not tell: called names, and minus signs with one operand."""
        stack: list[object] = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, tuple):
                stack.extend(node)
                continue
            if not is_dataclass(node) or isinstance(node, type):
                continue
            stack.extend(getattr(node, field.name) for field in fields(node))
            match node:
                case (
                    nodes.CallExpression(name)
                    | nodes.AggregateExpression(name)
                    | nodes.AskPhrase(name)
                ):
                    self.callees.add(name.span.end)
                case nodes.ScoreStatement(_, name):
                    self.callees.add(name.span.end)
                case nodes.UnaryExpression(nodes.UnaryOperator.NEGATE):
                    self.negations.add(node.span.start)
                case (
                    nodes.StrategyDeclaration(name)
                    | nodes.PromptDeclaration(name)
                    | nodes.JudgeDeclaration(name)
                ):
                    self.callees.add(name.span.end)
                case _:
                    pass

    def run(self) -> str:
        comments = self.tokens.comments[::-1]
        level, widths = 0, [0]
        row: list[Token] = []  # tokens of the physical line at hand
        starts_statement, after_header = True, False
        continued = header = False
        tokens = self.tokens.tokens
        for index, token in enumerate(tokens):
            if token.type == "INDENT":
                level += 1
                width = self.source.position(tokens[index + 1].start).column - 1
                widths = [*widths[:level], width]
                after_header = True
                continue
            if token.type == "DEDENT":
                level -= 1
                continue
            if token.type == "NL":
                self._trailing(comments, token.start)
                continue
            first = index == 0 or tokens[index - 1].type in _LAYOUT
            if first or self._line_of(token) > self._last_line(tokens[index - 1]):
                starts_statement = first
                if starts_statement:
                    header = self._is_header(index)
                    self._own_lines(comments, token, level, widths, after_header)
                else:
                    self._trailing(comments, tokens[index - 1].end)
                    self._own_lines(comments, token, level + 1 + header, None, False)
                if token.type == "$END":
                    break
                continued = not starts_statement
                extra = (1 + header) if continued and token.type != "RPAR" else 0
                blank = starts_statement and self._blank_above(token.start)
                self.lines.append(
                    _Line("", level + extra, blank, False, starts_statement, after_header)
                )
                after_header = False
                row = []
            line = self.lines[-1]
            if row and self._spaced(row[-1], token):
                line.text += " "
            line.text += self._text(token, line.level, row)
            row.append(token)
        return self._joined()

    # -------------------------------------------------------------------------- pieces

    def _line_of(self, token: Token) -> int:
        return self.source.position(token.start).line

    def _last_line(self, token: Token) -> int:
        return self.source.position(token.end).line

    def _is_header(self, index: int) -> bool:
        """Whether the statement that begins here ends with a colon: its block is indented too."""
        tokens = self.tokens.tokens
        while tokens[index].type not in _LAYOUT:
            index += 1
        return index > 0 and tokens[index - 1].type == "COLON"

    def _blank_above(self, offset: int) -> bool:
        line = self.source.position(offset).line
        return line > 1 and not self.source.line(line - 1).strip()

    def _own_lines(
        self,
        comments: list[Comment],
        token: Token,
        level: int,
        widths: list[int] | None,
        after_header: bool,
    ) -> None:
        """Put out the comments that stand alone before a token.

        At the end of a block a comment may belong to the block or to what follows: its own
        indentation tells.
        """
        deepest = self._depth_before() if widths is not None else level
        end = token.type == "$END"  # which stands right behind the last word
        while comments and (end or comments[-1].start < token.start):
            comment = comments.pop()
            at = level
            if widths is not None:
                column = self.source.position(comment.start).column - 1
                while at < deepest and len(widths) > at + 1 and widths[at + 1] <= column:
                    at += 1
                deepest = at
            text = self.source.text[comment.start : comment.end].rstrip()
            blank = self._blank_above(comment.start)
            self.lines.append(_Line(text, at, blank, True, widths is not None, after_header))
            after_header = False

    def _depth_before(self) -> int:
        """The level of the block that the last statement stands in."""
        for line in reversed(self.lines):
            if line.starts_item and not line.comment:
                return line.level
        return 0

    def _trailing(self, comments: list[Comment], offset: int) -> None:
        """Put a comment that follows on the same line after it."""
        if comments and not comments[-1].alone:
            comment = comments[-1]
            if self.source.position(comment.start).line == self.source.position(offset).line:
                comments.pop()
                text = self.source.text[comment.start : comment.end].rstrip()
                self.lines[-1].text += f"  {text}"

    def _spaced(self, left: Token, right: Token) -> bool:
        if right.type in _TIGHT_BEFORE or left.type == "LPAR":
            return False
        if right.type == "LPAR" and left.end in self.callees:
            return False
        return left.start not in self.negations

    def _text(self, token: Token, level: int, row: list[Token]) -> str:
        """The text of a token; a block text moves with its line as long as it means the same."""
        if token.type != "TEXT" or "\n" not in token.text:
            return token.text
        start = self.source.position((row[0] if row else token).start)
        shift = _INDENT * level - (start.column - 1)
        if shift == 0:
            return token.text
        first, *rest = token.text.split("\n")
        moved = [
            line if not line.strip() else " " * shift + line if shift > 0 else line[-shift:]
            for line in rest
        ]
        text = "\n".join([first, *moved])
        last = rest[-1].removesuffix('"""')
        if not last.strip():  # the closing quotes stand alone: they move as well
            text = "\n".join([first, *moved[:-1], " " * max(0, len(last) + shift) + '"""'])
        return text if block_value(text) == block_value(token.text) else token.text

    # -------------------------------------------------------------------------- blank lines

    def _joined(self) -> str:
        out: list[str] = []
        previous: _Line | None = None
        blanks = self._blanks()
        for line, blank in zip(self.lines, blanks, strict=True):
            if blank and previous is not None:
                out.append("")
            out.append(" " * (_INDENT * line.level) + line.text)
            previous = line
        return "".join(f"{text}\n" for text in out)

    def _blanks(self) -> list[bool]:
        """Whether each line has a blank line before it.

        Blank lines of the author count once and not after a header. Items of several lines are
        set off by one, above the comments that belong to them.
        """
        lines = self.lines
        blanks = [line.blank_before and not line.after_header for line in lines]
        tops = [i for i, line in enumerate(lines) if line.level == 0 and line.starts_item]
        items = [i for i in tops if not lines[i].comment]
        for number, at in enumerate(items):
            end = items[number + 1] if number + 1 < len(items) else len(lines)
            body = [line for line in lines[at + 1 : end] if line.level > 0 or not line.starts_item]
            if not body and "\n" not in lines[at].text:
                continue
            above = at
            while above > 0 and lines[above - 1].comment and not blanks[above]:
                above -= 1
            blanks[above] = True
            below = at + 1
            while below < len(lines) and not (lines[below].level == 0 and lines[below].starts_item):
                below += 1
            if below < len(lines):
                blanks[below] = True
        return blanks
