"""Reads values: numbers, texts, pools, and what rows have, as other languages write them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tts_lang.repair.calls import called
from tts_lang.repair.lexicon import (
    COLUMNS_MEANT,
    FUNCTIONS_MEANT,
    KNOWN_WORDS,
    SCORES,
    TEXT_WORDS,
    UNITS,
)
from tts_lang.repair.parts import Item, of_rows
from tts_lang.repair.scope import NUMBER_WORDS, KnownNames, words
from tts_lang.repair.spelling import split_arguments, written

#: A part, and the place of the word after it.
Parsed: TypeAlias = tuple[Item, int]

_MOST_WORDS = 4
_REDUCTIONS = words("mean last prod sum min max first argmin argmax")
_AGGREGATES = words("mean sum min max std first")
ASKING = words("if until where while when unless and or not elif filter stop end")
_MATHEMATICS = frozenset({"sqrt", "log", "exp", "abs", "floor", "ceil"})
_OF_POOLS = words("count share lead entropy")
_SUPERLATIVES = words("highest lowest largest smallest greatest worst least minimum maximum")
SCALARS = frozenset({"num", "row", "scorer"})
TEXTS = frozenset({"text", "answer", "finish"})


@dataclass
class ValueReader(ABC):
    """Reads the values in the words of a line."""

    tokens: Sequence[str]
    names: KnownNames
    #: Whether `mean tokens of pool` is one value.
    aggregates: bool = False
    #: Pools that a value was said to belong to, as in `pool.orm`.
    owners: list[str] = field(default_factory=list)
    #: Items that follow the one that is read.
    pending: list[Item] = field(default_factory=list)
    #: The scorer that is meant by `score`.
    score: str = ""

    @abstractmethod
    def expression(self, at: int) -> Parsed | None:
        """The value or condition that begins at a place."""

    def _word(self, at: int) -> str:
        return self.tokens[at].lower() if 0 <= at < len(self.tokens) else ""

    def _phrases(self, at: int) -> Iterator[tuple[int, str]]:
        for size in range(min(_MOST_WORDS, len(self.tokens) - at), 0, -1):
            yield size, " ".join(self.tokens[at : at + size]).lower()

    def _whole(self, tokens: Sequence[str]) -> Item | None:
        """The value that some words are, if they are one."""
        reader = type(self)(tokens, self.names, self.aggregates, self.owners, [], self.score)
        parsed = reader.expression(0)
        if parsed is None:
            return None
        value, end = parsed
        if end + 1 < len(tokens) and tokens[end].lower() in {"of", "in", "for", "over", "from"}:
            pool = reader.expression(end + 1)
            if pool is not None and pool[0].kind == "pool":
                tail = [word.lower() for word in tokens[pool[1] :]]
                if not tail or tail == ["below"] or (len(tail) == 2 and tail[0] == "per"):
                    text = " ".join([self._row(value), "of", pool[0].bound, *tail])
                    return Item("of", text)
        return value if end == len(tokens) else None

    def _row(self, item: Item) -> str:
        """A value as an expression over rows: of a process scorer the last step counts."""
        return of_rows(item, self.names)

    def _sum(self, at: int) -> Parsed | None:
        return self._binary(at, ("+", "-"), self._product)

    def _product(self, at: int) -> Parsed | None:
        signs = ("*", "/", "%", "mod", "div", "modulo")
        return self._binary(at, signs, self._unary)

    def _binary(
        self, at: int, signs: Sequence[str], operand: Callable[[int], Parsed | None]
    ) -> Parsed | None:
        parsed = operand(at)
        while parsed is not None:
            value, end = parsed
            sign = self._word(end)
            factor = value.kind == "num" and "*" in signs and "." in value.text
            name = self.names.meant(self.tokens[end]) if end < len(self.tokens) else None
            if factor and name in self.names.steps | self.names.solutions:
                right = operand(end)  # `0.5 orm`
                if right is not None:
                    text = f"{value.text} * {self._row(right[0])}"
                    parsed = Item("row", text, simple=False), right[1]
                    continue
            if sign not in signs or value.kind not in SCALARS | {"pool", "text"}:
                return parsed
            whole = sign == "/" and self._word(end + 1) == "/"
            right = operand(end + 1 + whole)
            if right is None or (right[0].kind == "pool") != (value.kind == "pool"):
                return parsed
            if value.kind == "pool" and sign not in "+-":
                return parsed
            left_text, right_text = self._row(value), self._row(right[0])
            if sign in {"*", "/", "%", "mod", "div", "modulo"}:
                left_text = left_text if value.simple or sign in "*/" else f"({left_text})"
            if sign in {"%", "mod", "modulo"}:
                text, simple = f"remainder({self._row(value)}, {self._row(right[0])})", True
            elif sign == "div" or whole:
                text, simple = f"floor({left_text} / {right_text})", True
            else:
                text, simple = f"{left_text} {sign} {right_text}", False
            kinds = {value.kind, right[0].kind}
            kind = (
                "pool"
                if "pool" in kinds
                else "text"
                if "text" in kinds
                else ("num" if kinds == {"num"} else "row")
            )
            parsed = Item(kind, text, simple=simple), right[1]
        return parsed

    def _unary(self, at: int) -> Parsed | None:
        if self._word(at) == "-":
            parsed = self._unary(at + 1)
            if parsed is None or parsed[0].kind not in SCALARS:
                return None
            return Item(parsed[0].kind, f"-{self._row(parsed[0])}", simple=False), parsed[1]
        parsed = self._atom(at)
        if parsed is not None and self._word(parsed[1]) == "**" and parsed[0].kind in SCALARS:
            right = self._unary(parsed[1] + 1)
            if right is not None:
                text = f"{self._row(parsed[0])} ** {right[0].text}"
                return Item(parsed[0].kind, text, simple=False), right[1]
        if parsed is not None and self._word(parsed[1]) == "squared":
            return Item(parsed[0].kind, f"{self._row(parsed[0])} ** 2", simple=False), parsed[1] + 1
        return parsed

    def _closing(self, at: int) -> int:
        """The place at which the bracket that opens at a place is closed."""
        depth = 0
        for place in range(at, len(self.tokens)):
            depth += self.tokens[place] in "([{"
            depth -= self.tokens[place] in ")]}"
            if depth == 0:
                return place
        return len(self.tokens)

    def _atom(self, at: int) -> Parsed | None:
        if at >= len(self.tokens):
            return None
        token, word = self.tokens[at], self._word(at)
        quoted = token.strip('"')
        named = token[0] == '"' and self._word(at - 1) in {"", "(", ",", "[", "=", "by"}
        if named and quoted in self.names.all - {"text", *self.names.pools}:
            return Item(self._kind(quoted), quoted), at + 1
        if token.startswith('"'):
            return Item("text", token), at + 1
        if token[0].isdigit():
            return Item("num", token), at + 1
        if word in TEXT_WORDS and token not in self.names.all:
            return Item("text", TEXT_WORDS[word]), at + 1
        new = self._word(at - 1) == "let"
        if word in NUMBER_WORDS and self.tokens[at] not in self.names.all and not new:
            truth = frozenset({"truth"} if word in {"true", "false"} else ())
            return Item("num", NUMBER_WORDS[word], truth), at + 1
        grouped = token == "[" and (not at or self.tokens[at - 1] in {*"+-*/=(,", "by"})
        if token == "(" or grouped:
            end = self._closing(at)
            if self._word(end - 1) == "," and end - at > 2:
                return None
            inside = self._whole(self.tokens[at + 1 : end])
            if inside is None or inside.kind == "of":
                return None
            return replace(
                inside, text=f"({inside.text})" if not inside.simple else inside.text, simple=True
            ), end + 1
        if not (token[0].isalpha() or token[0] == "_"):
            return None
        if self._word(at + 1) == "(":
            call = self._call(at)
            if call is not None or token not in self.names.all:
                return call
        return self._named(at)

    def _named(self, at: int) -> Parsed | None:
        token, word = self.tokens[at], self._word(at)
        for size, phrase in self._phrases(at):
            if size > 1 and phrase in COLUMNS_MEANT:
                return Item("row", COLUMNS_MEANT[phrase]), at + size
        applied = self._applied(at)
        if applied is not None:
            return applied
        name = self.names.meant(token)
        word = word.replace("_", " ")
        if name is None and word in COLUMNS_MEANT:
            text = COLUMNS_MEANT[word]
            return Item("flag" if "done" in text else "row", text, simple="not" not in text), at + 1
        if name is None and word in SCORES and self.score:
            return Item("scorer", self.score), at + 1
        if name is None and not {word, token} & KNOWN_WORDS and word not in UNITS:
            name = self.names.close(token)
        if name is None:
            return None
        kind = self._kind(name)
        end = at + 1
        if kind == "scorer" and self._word(end) in SCORES:
            end += 1
        while self._word(end) in {".", "'"} and end + 1 < len(self.tokens):
            attribute = self.tokens[end + 1]
            member = self.names.meant(attribute)
            reduced = FUNCTIONS_MEANT.get(attribute.lower())
            if name in self.names.solutions and self.owners and reduced in _AGGREGATES:
                end += 4 if self.tokens[end + 2 : end + 4] == ["(", ")"] else 2
                return Item("num", f"{reduced}({name} of {self.owners[-1]})"), end
            if kind == "scorer" and (how := FUNCTIONS_MEANT.get(attribute.lower())) in _REDUCTIONS:
                end += 2
                end += 2 if self.tokens[end : end + 2] == ["(", ")"] else 0
                return Item("row", f"{how}({name})"), end
            how = FUNCTIONS_MEANT.get(attribute.lower())
            bare = self._word(end + 2) != "("
            if kind == "pool" and how in _OF_POOLS and (bare or self._word(end + 3) == ")"):
                return Item("num", f"{how}({name})"), end + (2 if bare else 4)
            if kind == "pool" and how in _AGGREGATES and self._word(end + 2) == "(":
                close = self._closing(end + 2)
                inner = self._whole(self.tokens[end + 3 : close])
                if self.aggregates and inner is not None and inner.kind in SCALARS:
                    return Item("num", f"{how}({self._row(inner)} of {name})"), close + 1
            if kind != "pool" or member is None or self._word(end + 2) == "(":
                if member is None and attribute in {"id", "index", "node", "name"}:
                    end += 2
                    continue
                break
            self.owners.append(name)
            name, kind, end = member, self._kind(member), end + 2
        if self._word(end) == "[" and kind == "scorer":
            inside = self.tokens[end + 1 : self._closing(end)]
            part = self._whole(inside[1:]) if inside[:1] == [":"] else None
            if part is not None:
                return Item("steps", f"take({name}, {part.text})"), self._closing(end) + 1
            place = {"- 1": "last({})", "0": "first({})"}.get(" ".join(inside))
            index = self._whole(inside) if place is None else None
            if place is not None:
                return Item("row", place.format(name)), self._closing(end) + 1
            if index is not None:
                return Item("row", f"nth({name}, {index.text})"), self._closing(end) + 1
        return Item(kind, name), end

    def _kind(self, name: str) -> str:
        names = self.names
        for kind, group in (
            ("pool", names.pools),
            ("num", names.numbers),
            ("text", names.texts),
            ("scorer", names.steps | names.solutions),
            ("prompt", names.prompts),
            ("policy", names.policies),
            ("strategy", names.strategies),
        ):
            if name in group:
                return kind
        return "flag" if name == "done" else "row"

    def _applied(self, at: int) -> Parsed | None:
        """`last prm`, `mean of prm`; with `aggregates` also `mean tokens of pool`."""
        how = FUNCTIONS_MEANT.get(self._word(at))
        if how is None or self.tokens[at] in self.names.all:
            return None
        step = at + 2 < len(self.tokens) and self.tokens[at + 2].lower() in {"step", "steps"}
        if self._word(at) in _SUPERLATIVES and not self.aggregates and not step:
            return None
        place = at + 1
        while self._word(place) in {"of", "the", "step", "value", "over"}:
            place += 1
        if how in _MATHEMATICS and place < len(self.tokens) and self._word(place) != "(":
            inner = self._atom(place)
            if inner is not None and inner[0].kind in SCALARS:
                return Item(inner[0].kind, f"{how}({self._row(inner[0])})"), inner[1]
        if how == "number" and self._word(at + 1) == "of":
            how = "count"
        if place >= len(self.tokens) or self._word(place) == "(":
            return None
        name = self.names.meant(self.tokens[place])
        if how in _REDUCTIONS and name in self.names.steps and self._word(place + 1) != "(":
            end = place + 1 + (self._word(place + 1) in SCORES | {"step", "steps"})
            if not (self.aggregates and self._word(end) in {"of", "in", "over"}):
                return Item("row", f"{how}({name})"), end
        if not self.aggregates:
            return None
        if how in _OF_POOLS and name in self.names.pools:
            skip = place + 1 + (self._word(place + 1) in {"where", "with", "that", "which"})
            condition = self.expression(skip)
            if how == "count" and condition is not None and condition[0].kind == "flag":
                return Item("num", f"count({name} where {condition[0].text})"), condition[1]
            return Item("num", f"{how}({name})"), place + 1
        if how == "count" and (flag := self.expression(place)) is not None:
            pool = self._atom(flag[1] + 1)
            if flag[0].kind == "flag" and pool is not None and pool[0].kind == "pool":
                return Item("num", f"count({pool[0].text} where {flag[0].text})"), pool[1]
        if how in _AGGREGATES:
            inner = self._sum(place)
            if inner is not None and self._word(inner[1]) in {"of", "in", "over", "across", "for"}:
                after = inner[1] + 1
                while self._word(after) in {"the", "all"}:
                    after += 1
                pool = self._atom(after)
                if pool is not None and pool[0].kind == "pool":
                    return Item("num", f"{how}({self._row(inner[0])} of {pool[0].text})"), pool[1]
        return None

    def _call(self, at: int) -> Parsed | None:
        """A call of a function, in its own name or that of another language."""
        end = self._closing(at + 1)
        inside = self.tokens[at + 2 : end]
        name = self.tokens[at]
        whole = f"{name}({written(inside)})"
        if name in self.names.called:
            return Item("prompt" if name in self.names.prompts else "scorer", whole), end + 1
        if name in self.names.prompts and inside and not self.names.all & {*inside}:
            return Item("prompt", whole), end + 1
        if name in self.names.strategies | self.names.numbers:
            return Item("pool", whole, frozenset({"strategy"})), end + 1
        function = FUNCTIONS_MEANT.get(name.lower())
        if function is None:
            return None
        arguments = [self._whole(part) for part in split_arguments(inside)]
        if any(each is None for each in arguments):
            if function in {"confidence", "certainty", "margin", "entropy", "rank", "softmax"}:
                return Item("row", f"{function}({written(inside)})"), end + 1
            return None
        values = [each for each in arguments if each is not None]
        item = called(function, values, self.names, aggregates=self.aggregates)
        if item is None:
            return None
        behind = self._word(end + 1) in {"of", "over", "in", "across", "for"}
        if self.aggregates and function in _AGGREGATES and behind and len(values) == 1:
            pool = self._atom(end + 2) if end + 2 < len(self.tokens) else None
            if pool is not None and pool[0].kind == "pool" and values[0].kind != "of":
                text = f"{function}({self._row(values[0])} of {pool[0].text})"
                return Item("num", text), pool[1]
        return item, end + 1
