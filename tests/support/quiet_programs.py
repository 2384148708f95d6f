"""Random strategies made of what the prover rewrites, so that its rules fire often.

Unlike `tests.support.programs`, most of these read neither parents nor identities, copy little and
sample in pieces: loops step by step, one-row pools, equal weights, calls that do nothing else.
Some do not compile (a column that is not there): draw again.
"""

from __future__ import annotations

from random import Random

from tts_lang.compiler import compile_strategy
from tts_lang.diagnostics import DiagnosticError
from tts_lang.plan.graph import Plan
from tts_lang.source import Source

HELPERS = """
prompt improve = \"\"\"{problem} {text} so\"\"\"

strategy one(n = 1):
    return sample n

strategy piece():
    return sample 1 step

strategy chosen(n = 2):
    pool = sample n
    score pool by prm
    return first of (select top n of pool by last(prm))
"""

_UNITS = ("", " steps", " steps", " thoughts", " x 3 tokens")
_CONDITIONS = (
    *("1 < 2", "2 < 1", "tokens > 2", "done", "2 ** 600 > tokens", "1 / 0 < tokens"),
    *("tokens >= 0", "logprob > 1", "steps * tokens > 2", "2 < steps and tokens < 9"),
    *("tokens * 1e308 > 0", "1 / 3 * 3 == 1", "2 ** 63 + 1 > 2 ** 63"),
)
_LIMITS = ("", "", "", "", "", " within 5 tokens", " max 4 tokens", " at temperature 1", " top_k 3")


class _Writer:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.pools: list[str] = []
        # One way of sampling in most programs, or pieces would never join.
        self.limit = random.choice(_LIMITS)

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def pool(self) -> str:
        return self.random.choice(self.pools[-2:])

    def count(self) -> str:
        return self.pick("1", "1", "1", "2", "3", "1.5", "1 + 1")

    def limits(self) -> str:
        return self.limit if self.random.random() < 0.9 else self.random.choice(_LIMITS)

    def sample(self) -> str:
        count, unit = self.count(), self.random.choice(_UNITS)
        what = self.pick("sample", "sample", "sample", "expand problem to")
        return f"{what} {count}{unit}{self.limits()}"

    def statement(self, depth: int) -> list[str]:
        p = self.pool()
        kind = self.random.randrange(27 if depth else 16)
        match kind:
            case 0:
                return [f"{p} = expand {p} by 1{self.limits()}"]
            case 1:
                return [
                    f"{p} = expand {p} by {self.count()}{self.random.choice(_UNITS)}{self.limits()}"
                ]
            case 2:
                weight = self.pick(
                    "", " weighted by 2", " weighted by tokens", " weighted by 1e308"
                )
                return [f"{p} = expand {p} to {self.count()} steps{self.limits()}{weight}"]
            case 3:
                name = f"q{len(self.pools)}"
                self.pools.append(name)
                return [f"{name} = {self.sample()}"]
            case 4:
                copies = self.pick("problem", "problem", p)
                grown = self.pick("1", "1 steps", "2 steps", "2")
                return [
                    f"{p} = fork {copies} into {self.count()}",
                    f"{p} = expand {p} by {grown}{self.limits()}",
                ]
            case 5:
                return [f"score {p} by prm"]
            case 6:
                per = self.pick("", "", " per root")
                by = self.pick("last(prm)", "tokens", "-tokens")
                return [
                    f"score {p} by prm",
                    f"{p} = select top {self.pick('1', '2', '4', '100%')} of {p} by {by}{per}",
                ]
            case 7:
                return [f"let worth of {p} = {self.pick('2', 'tokens', 'steps')}"]
            case 8:
                return [
                    f"{p} = {self.pick('sort', 'sort', 'dedupe')} {p}" + self.pick("", " by tokens")
                ]
            case 9:
                twice = self.pick("", f" where {self.pick(*_CONDITIONS)}")
                return [f"{p} = ({p} where {self.pick(*_CONDITIONS)}){twice}"]
            case 10:
                other = self.pick(self.pool(), "none", f"({self.sample()})", "none")
                return [f"{p} = {p} {self.pick('+', '+', '-')} {other}"]
            case 11:
                count, weight = self.pick("1", "1", "2"), self.pick("1", "tokens")
                return [f"{p} = resample {p} to {count} by {weight}"]
            case 12:
                return [f"{p} = first {self.count()} of {p}"]
            case 13:
                return [f'force "Wait" into {p}']
            case 14:
                return [
                    f"{p} = {self.pick('one()', 'piece()', f'chosen() on {p}', f'one() on {p}')}"
                ]
            case 15:
                weight = self.pick("", " weighted by 2", " weighted by tokens")
                return [f"{p} = vote {p}{weight}{self.pick('', ' per root')}"]
            case 16 | 17:
                until = self.pick(
                    "", f" until all {p} done", f" until count({p}) > 2", " until 1 < 2"
                )
                body = [f"{p} = expand {p} by 1 step{self.limits()}"]
                if kind == 17:
                    body += self.statement(0)
                trips = self.pick("0", "1", "2", "3")
                return [f"repeat {trips}{until}:", *(f"    {line}" for line in body)]
            case 18:
                condition = self.pick("1 < 2", "2 < 1", f"count({p}) > 1")
                then, otherwise = self.statement(0), self.statement(0)
                return [
                    f"if {condition}:",
                    *(f"    {line}" for line in then),
                    "else:",
                    *(f"    {line}" for line in otherwise),
                ]
            case 19 | 20:
                k = f"k{self.random.randrange(100)}"
                use = self.pick(
                    f"{p} = first {k} of {p}",
                    f"{p} = fork {p} into {k} + 0",
                    f"{p} = expand {p} by {k} * 1 steps{self.limits()}",
                    f"{p} = {p} where {k} > 1",
                )
                known, other = self.count(), self.count()
                condition = self.pick("1 < 2", "2 < 1")
                return [
                    f"if {condition}:",
                    f"    {k} = {known}",
                    "else:",
                    f"    {k} = {other}",
                    use,
                ]
            case 22:
                unit = self.random.choice(_UNITS)
                parts = [f"(sample {self.count()}{unit}{self.limits()})" for _ in range(2)]
                return [f"{p} = {' + '.join(parts)}"]
            case 23:
                step = (
                    f"    {p} = expand {p} by 1{self.pick(' step', ' x 2 tokens')}{self.limits()}"
                )
                until = self.pick("", f" until all {p} done", f" until count({p}) > 1")
                trips = self.pick("1", "3")
                whole = f"{p} = expand {p} by 1{self.limits()}"
                return [f"repeat {trips}{until}:", step, whole]
            case 24:
                k = f"k{self.random.randrange(100)}"
                unread = f"    let worth of {p} = {k}"
                step = f"    {p} = expand {p} by 1 step{self.limits()}"
                return [f"{k} = 1", "repeat 9:", unread, f"    {k} = 2", step]
            case 25:
                k = f"k{self.random.randrange(100)}"
                limits = self.limits()
                return [
                    f"{k} = count({p})",
                    f"{p} = expand problem to 2 steps{limits} weighted by {k}",
                ]
            case 21:
                k = f"k{self.random.randrange(100)}"
                step = f"    {p} = expand {p} by 1 step{self.limits()}"
                kept = self.pick(f"    {k} = {k}", f"    {k} = {k} + 0", f"    {k} = {k}")
                after = self.pick(f"{p} = first {k} of {p}", f"{p} = {p} where {k} > 1")
                return [f"{k} = {self.count()}", "repeat 9:", kept, step, after]
            case _:
                return [f"{p} = ask improve about {p}{self.limits()}"]

    def program(self) -> str:
        random = self.random
        if random.random() < 0.06:
            return (
                HELPERS
                + f"\nstrategy main():\n    return {self.pick('one()', 'chosen(3)', 'piece()')}\n"
            )
        self.pools.append("p")
        lines = [f"p = {self.sample()}"]
        for _ in range(random.randint(1, 4)):
            lines += self.statement(1)
        p = self.pool()
        ending = random.randrange(7)
        if ending == 0:
            lines += [f"score {p} by prm", f"return best of {p} by last(prm)"]
        elif ending == 1:
            lines += [f"return first of {p}"]
        elif ending == 2:
            lines += [f"score {p} by prm", f"return vote {p} weighted by last(prm)"]
        elif ending == 3:
            lines += [f"{p} = expand {p} by 1{self.limits()}", f"return vote {p}"]
        elif ending == 4:
            lines += [f"return vote (vote {p} per root)"]
        elif ending == 5:
            chosen = self.pick(f"{p} where tokens > 2", f"first 2 of {p}")
            lines += [f"score {p} by prm", f"return best of ({chosen}) by last(prm)"]
        else:
            lines += [f"return vote {p} weighted by {self.pick('2', 'tokens')}"]
        body = "".join(f"    {line}\n" for line in lines)
        return f"{HELPERS}\nstrategy main():\n{body}"


def quiet_program(seed: int) -> tuple[str, Plan]:
    """A program of a seed that compiles, and its plan."""
    random = Random(seed)
    while True:
        source = _Writer(random).program()
        try:
            return source, compile_strategy(Source.of(source, "main.tts"), "main")
        except DiagnosticError:
            continue


#: Statements that the rules of `row_laws` and `branch_laws` rewrite, and some that they must not;
#: `{p}` and `{q}` are pools, `{k}` and `{j}` numbers, `{e}`, `{f}` keys, `{c}` a condition.
_LAWFUL = (
    "{p} = first {k} of (sort {p} by {e})",
    "{p} = sort (sort {p} by {e}) by {f}",
    "{p} = select top {k} of (sort {p} by {e}) by {f}",
    "{p} = first {k} of (first {j} of {p})",
    "{q} = {p} where {c}\n{p} = {p} + {q}",
    "{q} = first {k} of (sort {p} by {e})\n{p} = {p} {sign} {q}",
    "{q} = {p} where {c}\n{p} = {p} - {q}",
    "{q} = {p} where not {c}\n{p} = {p} - {q}",
    "{p} = vote {p} weighted by {k} if has(answer) else {j}",
    "{p} = vote {p} on text weighted by {k} if has(answer) else {j}",
    "let w of {p} = {e}\nlet v of {p} = w + {k}\n{p} = {p} where v > w",
    "let w of {p} = {e}\nscore {p} by orm\n{p} = select top {k} of {p} by w",
    "let w of {p} = last(prm)\n{p} = expand {p} by 1 step\nscore {p} by prm\n"
    "{p} = sort {p} by w - last(prm)",
    "let ok of {p} = {c}\n{p} = {p} where not ok",
    "let told of {p} = answer\n{p} = {p} where told == {told}",
    "score {p} by prm\nscore {p} by orm\n{p} = select top {k} of {p} by orm + last(prm)",
    "if not count({p}) > {k}:\n    {p} = first {j} of {p}\nelse:\n    {p} = sort {p} by {e}",
    "if not max(tokens of ({p} where {c})) > {k}:\n    {p} = first {j} of {p}",
    "if count({p}) > {k}:\n    {p} = expand {p} by {j} steps\nelse:\n"
    "    {p} = expand {p} by {other} steps",
    "repeat {j}:\n    {p} = expand {p} by {k} steps\n    {p} = first 4 of {p}",
    "repeat {j}:\n    repeat 2:\n        {p} = expand {p} by 1 step\n    {q} = sample {k}\n"
    "    {p} = {p} + {q}\n    {p} = first 4 of {p}",
    "repeat {j}:\n    if count({p}) > {k}:\n        {p} = first {k} of {p}\n    else:\n"
    "        {p} = {p} + chosen({k})",
)
_KEYS = ("tokens", "steps", "-tokens", "last(prm)", "mean(prm)", "index", "tokens / (steps - 2)")
_TESTS = ("done", "tokens > 4", "has(answer)", "last(prm) > 0.5", "answer == {told}", "index > 1")
_ENDINGS = ("vote {p}", "first of {p}", "first of (sort {p} by {e})", "best of {p} by {e}")


def _lawful(random: Random) -> str:
    names = {"p": "pool", "q": "other", "told": f'"{random.randint(1, 3)}"'}
    lines = [f"pool = sample {random.choice((3, 4, 5))}{random.choice(('', ' steps'))}"]
    lines.append("score pool by prm")
    for form in (*random.choices(_LAWFUL, k=random.randint(1, 3)), random.choice(_ENDINGS)):
        key = random.choice(_KEYS)
        keys = {"e": key, "f": random.choice((key, key, random.choice(_KEYS)))}
        j, k = random.randint(1, 4), random.choice(("1", "2", "3", "2.5", "0"))
        test = random.choice(_TESTS).format_map(names)
        more = {"j": j, "other": random.choice((j, 2)), "k": k, "c": f"({test})"}
        sign = random.choice("+-")
        lines += form.format_map({**names, **keys, **more, "sign": sign}).split("\n")
    lines[-1] = f"return {lines[-1]}"
    body = "".join(f"    {line}\n" for line in lines)
    return f"scorer orm per solution\n{HELPERS}\nstrategy main():\n{body}"


def lawful_program(seed: int) -> tuple[str, Plan]:
    """The same of what only the prover rewrites: order, parts of pools, columns, branches."""
    random = Random(f"lawful {seed}")
    while True:
        source = _lawful(random)
        try:
            return source, compile_strategy(Source.of(source, "main.tts"), "main")
        except DiagnosticError:
            continue
