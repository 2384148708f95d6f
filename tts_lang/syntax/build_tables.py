"""Turns grammar.lark into tables.json: `python -m tts_lang.syntax.build_tables`.

Only this module imports Lark, which checks the grammar (LALR(1), strict mode: no conflicts) and
computes the parse table. The table is stored in a canonical form, because importing Lark and
building the grammar takes ten times longer than parsing a strategy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lark import Lark
from lark.lexer import Lexer
from lark.parsers.lalr_analysis import Shift

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lark.grammar import Rule

GRAMMAR_PATH = Path(__file__).with_name("grammar.lark")
TABLES_PATH = Path(__file__).with_name("tables.json")

_VALUES = frozenset({"NAME", "INTEGER", "FLOAT", "PERCENT", "STRING", "TEXT", "BROKEN"})
_RULES_OF_WORDS = frozenset({"name", "_plain", "unit"})


class _NoLexer(Lexer):
    """The tokens come from tokens.py; Lark only needs to know that it has no lexer to build."""

    def __init__(self, lexer_conf: object) -> None:
        del lexer_conf

    def lex(self, lexer_state: object, parser_state: object) -> Iterator[object]:  # type: ignore[override]
        del lexer_state, parser_state
        return iter(())


def build(grammar: str) -> str:
    """The tables of a grammar as JSON text. Raises `lark.exceptions.GrammarError` on conflicts."""
    lark = Lark(grammar, parser="lalr", lexer=_NoLexer, strict=True, maybe_placeholders=False)
    table = lark.parser.parser._parse_table
    start = table.start_states["start"]
    rules = sorted(lark.parser.parser_conf.rules, key=_rule_order)
    rule_numbers = {rule: number for number, rule in enumerate(rules)}

    # Lark's state numbers change with the hash seed: number states in order of discovery.
    numbers = {start: 0}
    queue = [start]
    for state in queue:
        for symbol in sorted(table.states[state]):
            action, target = table.states[state][symbol]
            if action is Shift and target not in numbers:
                numbers[target] = len(numbers)
                queue.append(target)
    symbols = sorted({symbol for row in table.states.values() for symbol in row})
    symbol_numbers = {symbol: number for number, symbol in enumerate(symbols)}
    rows: list[list[int]] = []
    for state in queue:
        row: list[int] = []
        for symbol in sorted(table.states[state]):
            action, target = table.states[state][symbol]
            shift = action is Shift
            # Shifts are even and reductions odd; the shift of `$END` accepts.
            number = (numbers.get(target, 0) * 2) if shift else rule_numbers[target] * 2 + 1
            row += [symbol_numbers[symbol], number]
        if state == table.end_states["start"]:
            row = [symbol_numbers["$END"], 0]
        rows.append(row)
    unique = sorted(map(list, {tuple(row) for row in rows}))
    places = {tuple(row): place for place, row in enumerate(unique)}
    data = {
        "symbols": symbols,
        "rules": [_rule(rule) for rule in rules],
        "states": [places[tuple(row)] for row in rows],
        "rows": unique,
    }
    return json.dumps(data, separators=(",", ":")).replace("],[", "],\n[") + "\n"


def _rule_order(rule: Rule) -> tuple[str, list[str], str]:
    return (rule.origin.name, [symbol.name for symbol in rule.expansion], rule.alias or "")


def _rule(rule: Rule) -> list[object]:
    """Origin, builder (empty: pass children on), number of symbols, the symbols that are kept."""
    origin = rule.origin.name
    kept = [
        index
        for index, symbol in enumerate(rule.expansion)
        if not symbol.is_term or symbol.name in _VALUES or origin in _RULES_OF_WORDS
    ]
    passes = origin.startswith("_") or (rule.options.expand1 and len(kept) == 1)
    builder = rule.alias or ("" if passes else origin)
    return [origin, builder, len(rule.expansion), kept]


def main() -> None:
    """Write the tables beside the grammar."""
    TABLES_PATH.write_text(build(GRAMMAR_PATH.read_text("utf-8")), "utf-8")
    sys.stdout.write(f"wrote {TABLES_PATH.name}\n")


if __name__ == "__main__":
    main()
