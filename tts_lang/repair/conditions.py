"""Reads conditions: comparisons in words, and predicates on all rows of a pool."""

from __future__ import annotations

import re

from tts_lang.repair.lexicon import COLUMNS_MEANT, COMPARISONS, EMPTINESS, PREDICATES, ROWS
from tts_lang.repair.parts import Item
from tts_lang.repair.spelling import split_arguments
from tts_lang.repair.values import ASKING, SCALARS, TEXTS, Parsed, ValueReader

_ORDERS = frozenset({"<", "<=", ">", ">=", "==", "!="})


def _matching(text: str, pattern: str) -> str:
    """Whether a text matches a pattern: one without signs of patterns is looked for."""
    plain = pattern.replace("%", "")
    if re.search(r"[\\.*+?\[\](){}|^$_]", plain):
        return f"has(extract({pattern}, {text}))"
    return f"{text} contains {plain}"


class ConditionReader(ValueReader):
    """Reads conditions, and values that depend on one."""

    def expression(self, at: int) -> Parsed | None:
        parsed = self._disjunction(at)
        if parsed is None:
            return None
        value, end = parsed
        first = self._disjunction(end + 1) if self._word(end) == "?" else None
        if first is not None and self._word(first[1]) in {":", "else"}:
            second = self._disjunction(first[1] + 1)
            if second is not None:
                text = f"{self._row(first[0])} if {value.text} else {self._row(second[0])}"
                return Item("row", text, simple=False), second[1]
        if self._word(end) == "if" and value.kind in {"row", "scorer"}:
            condition = self._disjunction(end + 1)
            if condition is not None and condition[1] == len(self.tokens):
                text = f"{self._row(value)} if {condition[0].text} else 0"
                return Item("row", text, simple=False), condition[1]
        if self._word(end) == "if" and value.kind in SCALARS | {"text"}:
            condition = self._disjunction(end + 1)
            if condition is not None and self._word(condition[1]) in {"else", "otherwise"}:
                second = self._disjunction(condition[1] + 1)
                if second is not None:
                    text = f"{self._row(value)} if {condition[0].text} else {self._row(second[0])}"
                    return Item("row", text, simple=False), second[1]
        return parsed

    def _disjunction(self, at: int) -> Parsed | None:
        """Comparisons, joined by `and` and `or`."""
        parsed = self._negation(at)
        while parsed is not None and parsed[0].kind == "flag":
            value, end = parsed
            sign = self._word(end)
            if sign not in {"and", "or", "|", ","} or (
                sign == "," and self._word(end + 1) != "and"
            ):
                break
            skip = 2 if sign == "," else 1
            right = self._negation(end + skip)
            if right is None or right[0].kind != "flag":
                break
            sign = {"|": "or", ",": "and"}.get(sign, sign)
            parsed = Item("flag", f"{value.text} {sign} {right[0].text}", simple=False), right[1]
        return parsed

    def _negation(self, at: int) -> Parsed | None:
        if self._word(at) == "not":
            inner = self._negation(at + 1)
            if inner is None:
                return None
            value, end = inner
            if value.kind == "row" and value.text in TEXTS:
                value = Item("flag", f"has({value.text})")
            if value.kind == "pool":
                return Item("flag", f"count({value.text}) == 0", simple=False), end
            if value.text.startswith("not "):
                return Item("flag", value.text.removeprefix("not ")), end
            return Item("flag", f"not {value.text}", simple=False), end
        test = {
            "has": "has",
            "have": "has",
            "no": "not has",
            "missing": "not has",
            "without": "not has",
            "lacks": "not has",
            "an": "has",
        }.get(self._word(at))
        if test is not None and self._word(at + 1) not in {"(", ""}:
            skip = at + 1 + (self._word(at + 1) in {"an", "a", "the", "no"})
            if skip < len(self.tokens) and self.names.meant(self.tokens[skip]) in TEXTS - {"text"}:
                return Item("flag", f"{test}({self.tokens[skip]})", simple=test == "has"), skip + 1
        quantified = self._quantified(at)
        return quantified if quantified is not None else self._comparison(at)

    def _quantified(self, at: int) -> Parsed | None:
        """`all beams are done`, `every beam finished`, `beams.done`, `all done`, `no beam open`."""
        start = at
        how = {"every": "all", "each": "all", "all": "all", "any": "any", "some": "any"}.get(
            self._word(at), "no" if self._word(at) in {"no", "none"} else ""
        )
        at += bool(how)
        parenthesis = self._word(at) == "("
        at += parenthesis
        while self._word(at) in {"of", "the", "all", "our", "these"}:
            at += 1
        pool = None
        done = None
        while at < len(self.tokens):
            word = self._word(at)
            name = self.names.meant(self.tokens[at])
            if name in self.names.pools and pool is None:
                pool = name
            elif word in COLUMNS_MEANT and COLUMNS_MEANT[word] in {"done", "not done"}:
                done = COLUMNS_MEANT[word]
                at += 1
                if pool is not None or not how or self._word(at) not in {"of", "in"}:
                    break
                continue
            elif word in {"agree", "agrees"} and pool is not None and how in {"", "all"}:
                return Item("flag", f"share({pool}) == 1", simple=False), at + 1
            elif word == "done":
                done = "done"
                at += 1
                if self._word(at) == "(" and pool is None and not how:
                    close = self._closing(at)
                    name = self.names.meant(self.tokens[at + 1]) if close == at + 2 else None
                    if name in self.names.pools:
                        return Item("flag", f"all {name} done", simple=False), close + 1
                if pool is not None or not how or self._word(at) not in {"of", "in"}:
                    break
                continue
            elif word not in {
                ".",
                "(",
                "is",
                "are",
                "all",
                "of",
                "in",
                "not",
                "have",
                "been",
                "has",
            } and not (word == "," and how):
                break
            at += 1
            if pool is not None and done is not None:
                break
        # `beams.done` of all rows behind `until`, of each row behind `where`.
        of_pool = any(word.lower() in ASKING - {"filter", "where"} for word in self.tokens[:start])
        between = self.tokens[start:at]
        if not how and "." in between and "all" not in between and not of_pool:
            return None
        if done is None or not (how or pool) or (pool is None and parenthesis):
            return None
        if pool is None:
            pool = self.names.pools[0]
        opened_here = self.tokens[start:at].count("(") - self.tokens[start:at].count(")")
        at += opened_here > 0 and self._word(at) == ")"
        words = [each.lower() for each in self.tokens[start:at]]
        opened = ("not" in words) != (done == "not done")
        if how in {"", "all"}:
            text = f"any {pool} done" if how and opened else f"all {pool} done"
            if opened:
                return Item("flag", f"not all {pool} done", simple=False), at
        elif how == "any":
            text = f"any {pool} done"
            if opened:
                return Item("flag", f"not all {pool} done", simple=False), at
        else:
            text = f"all {pool} done" if opened else f"not any {pool} done"
        return Item("flag", text, simple=False), at

    def _comparison(self, at: int) -> Parsed | None:
        parsed = self._sum(at)
        if parsed is None:
            return None
        value, end = parsed
        if value.kind == "text" and self._word(end) == "in":
            right = self._named(end + 1) if end + 1 < len(self.tokens) else None
            if right is not None and right[0].text in TEXTS:
                return Item("flag", f"{right[0].text} contains {value.text}", simple=False), right[
                    1
                ]
        if value.text in TEXTS and self._word(end) == "." and self._word(end + 2) == "(":
            sign = COMPARISONS.get(self._word(end + 1).replace("_", ""))
            close = self._closing(end + 2)
            inside = self._whole(self.tokens[end + 3 : close])
            if sign in {"contains", "ends with"} and inside is not None:
                text = f"{value.text} {sign} {inside.text}"
                return Item("flag", text, simple=False), close + 1
        if value.kind == "pool":
            skip = end + (self._word(end) in {"has", "have", "contains", "holds"})
            sign, next_at = self._comparing(skip, value) if skip > end else ("", end)
            number = self._sum(next_at) if sign in _ORDERS else None
            if number is not None and number[0].kind == "num":
                after = number[1] + (self._word(number[1]) in ROWS)
                return Item(
                    "flag", f"count({value.text}) {sign} {number[0].text}", simple=False
                ), after
            for size, phrase in self._phrases(end):
                if phrase in EMPTINESS:
                    return Item("flag", f"count({value.text}) {EMPTINESS[phrase]}", simple=False), (
                        end + size
                    )
        if value.kind in {"row", "scorer", "text"}:
            for size, phrase in self._phrases(end):
                if phrase in PREDICATES:
                    text = PREDICATES[phrase].replace("V", self._row(value))
                    return Item("flag", text, simple=not text.startswith("not")), end + size
        if value.kind == "flag":
            sign, next_at = self._comparing(end, value)
            truth = {"true": True, "1": True, "false": False, "0": False}.get(self._word(next_at))
            if sign in {"==", "!="} and truth is not None:
                same = truth == (sign == "==")
                text = value.text if same else f"not {value.text}"
                return Item("flag", text, simple=same), next_at + 1
        if value.kind not in SCALARS | {"text"}:
            return parsed
        sign, next_at = self._comparing(end, value)
        if self._word(end) == "=" and self._word(at - 1) in {"(", ","}:
            sign = ""
        if not sign:
            return self._between(value, end) or parsed
        right = self._sum(next_at)
        if right is None or right[0].kind not in SCALARS | {"text"}:
            return parsed
        if "num" in {value.kind, right[0].kind} and "text" in {value.kind, right[0].kind}:
            return parsed
        text = f"{self._row(value)} {sign} {self._row(right[0])}"
        if sign == "contains" and self._word(end) in {"matches", "like", "~"}:
            text = _matching(value.text, right[0].text)
        end = right[1]
        second, after = self._comparing(end, right[0])
        if second in {"<", "<=", ">", ">="} and (third := self._sum(after)) is not None:
            text = f"{text} and {self._row(right[0])} {second} {self._row(third[0])}"
            end = third[1]
        if self.tokens[end : end + 2] == ["or", "more"]:
            end += 2
        return Item("flag", text, simple=False), end

    def _between(self, value: Item, at: int) -> Parsed | None:
        """`between 1 and 3`, `in 1..3`, `in [1, 3]` after a value."""
        at += self._word(at) in {"is", "are"}
        if self._word(at) not in {"between", "in", "within"}:
            return None
        listed = self._word(at) == "in" and self._word(at + 1) in {"[", "("}
        if listed:  # `in ("4", "5")`
            end = self._closing(at + 1)
            values = [self._whole(part) for part in split_arguments(self.tokens[at + 2 : end])]
            texts = [each.text for each in values if each is not None]
            if len(texts) < len(values) or not texts:
                return None
            text = " or ".join(f"{self._row(value)} == {each}" for each in texts)
            return Item("flag", text, simple=False), end + 1
        at += 1 + (self._word(at + 1) == "range")
        low = self._sum(at)
        if low is None or self._word(low[1]) not in {"and", "to", "..", ",", "-"}:
            return None
        high = self._sum(low[1] + 1)
        if high is None or {low[0].kind, high[0].kind} != {"num"}:
            return None
        row = self._row(value)
        text = f"{row} >= {low[0].text} and {row} <= {high[0].text}"
        return Item("flag", text, simple=False), high[1] + (self._word(high[1]) in {"]", ")"})

    def _comparing(self, at: int, left: Item) -> tuple[str, int]:
        """The comparison that stands at a place, and where it ends."""
        skip = self._word(at) in {"is", "are", "was", "being"}
        for size, phrase in self._phrases(at + skip):
            sign = COMPARISONS.get(phrase)
            if sign == "contains" and left.kind == "row" and left.text not in TEXTS:
                continue
            if phrase.isalpha() or " " in phrase:
                in_condition = any(word.lower() in ASKING for word in self.tokens[:at])
                if left.kind == "num" and left.simple and not in_condition:
                    continue
            if sign and not (phrase == "=" and left.kind == "num" and left.simple):
                return sign, at + skip + size
        if skip:
            negated = self._word(at + 1) == "not"
            return ("!=" if negated else "=="), at + 1 + negated
        return "", at
