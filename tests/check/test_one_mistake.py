"""Typical mistakes of a newcomer: each has one message, at its place, with what to write."""

from __future__ import annotations

from textwrap import dedent

import pytest

import tts_lang
from tts_lang.source import Source

BODY = "strategy s(n = 4):\n    pool = sample n\n"

MISTAKES = {
    # Lines of a strategy; the line of the message, and what it says.
    "misspelled score": (
        "    scor pool by prm\n    return best of pool by last(prm)",
        (3, "did you mean 'score'?"),
    ),
    "misspelled by": (
        "    score pool byy prm\n    return best of pool by last(prm)",
        (3, "did you mean 'by'?"),
    ),
    "misspelled let": (
        "    lett k of pool = tokens\n    return best of pool by k",
        (3, "did you mean 'let'?"),
    ),
    "misspelled return": ("    retrun vote pool", (3, "did you mean 'return'?")),
    "no equals": ("    more sample n\n    return vote more", (3, "write `more = sample n`")),
    "walrus": ("    more := sample n\n    return vote more", (3, "write `more = sample n`")),
    "two equals": ("    more == sample n\n    return vote more", (3, "write `more = sample n`")),
    "select without top": (
        "    few = select 2 of pool by tokens\n    return vote few",
        (3, "write `select top 2 of pool by tokens`"),
    ),
    "select without by": (
        "    few = select 2 of pool\n    return vote few",
        (3, "write `select top 2 of pool by E`"),
    ),
    "best by nothing": (
        "    return best of pool",
        (3, "write `best of pool by E`; the most frequent answer is"),
    ),
    "repeat until": (
        "    repeat until all pool done:\n        pool = expand pool by 1\n    return vote pool",
        (3, "write `repeat N until all pool done:`"),
    ),
    "repeat for ever": (
        "    repeat:\n        pool = expand pool by 1\n    return vote pool",
        (3, "write `repeat N:`"),
    ),
    "foreign loop": (
        "    for i in range(n):\n        more = sample 1\n    return vote more",
        (3, "write `repeat n:`"),
    ),
    "loop without its colon": (
        "    repeat 3\n        more = sample 1\n    return vote more",
        (3, "write `repeat 3:`"),
    ),
    "two names": (
        "    more, less = sample n, sample n\n    return vote (more + less)",
        (3, "write one `=` a line"),
    ),
    "scored in a loop with a wrong header": (
        "    repeat up to 3 times until all done:\n        score pool by prm\n"
        "    return best of pool by last(prm)",
        (3, "write `repeat 3 until all pool done:`"),
    ),
    "clause with equals": (
        "    more = sample n temperature=0.7\n    return vote more",
        (3, "write `more = sample n at temperature 0.7`"),
    ),
    "no such column": ("    return best of pool by lenght", (3, "candidates have `text`, ")),
    "division by zero": (
        "    return vote (sample n / 0)",
        (3, "dividing by 0 gives a missing number"),
    ),
    "fraction": ("    return vote (pool + (sample 4.5))", (3, "write a whole number")),
    "zero": ("    return vote (sample 0)", (3, "write 1 or more")),
    "emoji": (
        "    more = sample n \U0001f642\n    return vote more",
        (3, "only comments and texts"),
    ),
    "quoted name": (
        '    score pool by "prm"\n    return best of pool by last(prm)',
        (3, "write `score pool by prm`; names have no quotes"),
    ),
    "score with": (
        "    score pool with prm\n    return best of pool by last(prm)",
        (3, "write `score pool by prm`"),
    ),
    "best without of": (
        "    return best pool by tokens",
        (3, "write `best of pool by tokens`"),
    ),
    "no verb": ("    return majority pool", (3, "write `return vote pool`")),
    "limit in another order": (
        "    more = sample n max tokens 200\n    return vote more",
        (3, "write `more = sample n max 200 tokens`"),
    ),
    "let for a variable": (
        "    let more = 5\n    return vote (sample more)",
        (3, "write `more = 5`; `let more of P = E` for a column"),
    ),
    "two targets": ("    one, two = sample n\n    return vote one", (3, "write one `=` a line")),
    "break": ("    break\n    return vote pool", (3, "write `repeat N until CONDITION:`")),
    "pass": ("    pass\n    return vote pool", (3, "leave the statement out")),
    "return alone": ("    return", (3, "write `return vote P`")),
    "wrong expression": (
        '    more = sample n matching "("\n    return vote more',
        (3, "a `)` is missing None"),
    ),
    "dollar": ("    more = sample $n\n    return vote more", (3, "names stand alone")),
    "braced name": ("    more = sample {n}\n    return vote more", (3, "names stand alone")),
    "shipped strategy": ("    return majorty(n)", (3, 'with `import "majority.tts"` above?')),
    "shipped, not imported": ("    return majority(n)", (3, 'import it: `import "majority.tts"`')),
    "own strategy elsewhere": ("    return mine_alone(n)", (3, 'import "mine_alone.tts"')),
}

FILES = {
    "no block": (
        """
        strategy s(n = 4):
        pool = sample n
        return vote pool
        """,
        (2, "a block is missing here"),
    ),
    "no strategy": (
        """
        pool = sample 4
        score pool by prm
        return best of pool by last(prm)
        """,
        (1, "write `strategy NAME():`"),
    ),
    "braces": (
        """
        strategy s(n = 4) {
            return vote (sample n)
        }
        """,
        (1, "blocks are indented"),
    ),
    "comment": (
        """
        // greedy
        strategy s():
            return sample 1 at temperature 0
        """,
        (1, "write `# greedy`; comments begin with `#`"),
    ),
    "named law": (
        """
        strategy a(n = 4):
            return vote (sample n)

        law same: a(n = 4) == a()
        """,
        (4, "write `law a(n = 4) == a()`"),
    ),
    "typed parameter": (
        """
        strategy s(n: int = 4):
            return vote (sample n)
        """,
        (1, "write `strategy s(n = 4):`; parameters have no types"),
    ),
    "typed answer": (
        """
        strategy s(n = 4) -> answer:
            return vote (sample n)
        """,
        (1, "write `strategy s(n = 4):`; every strategy gives an answer"),
    ),
    "hyphen": (
        """
        strategy my-strategy(n = 4):
            return vote (sample n)
        """,
        (1, "my_strategy"),
    ),
    "prompt with a colon": (
        """
        prompt p: "Look at {solution}"

        strategy s(n = 4):
            return vote (sample n)
        """,
        (1, 'write `prompt p = "Look at {solution}"`'),
    ),
    "judge on one line": (
        """
        judge good: "Is {solution} good?"

        strategy s(n = 4):
            return vote (sample n)
        """,
        (1, "write it on lines of its own"),
    ),
    "slot by another word": (
        """
        prompt p = "{question}"

        strategy s():
            return ask p about problem
        """,
        (1, "write `{problem}`"),
    ),
    "slot by an attribute": (
        """
        prompt p = "{candidate.text}"

        strategy s():
            return ask p about (sample 1)
        """,
        (1, "write `{text}`"),
    ),
    "parameter called like a slot": (
        """
        prompt p(text) = "{text}"

        strategy s():
            return ask p about (sample 1)
        """,
        (1, "leave the parameter out"),
    ),
    "verb before a call": (
        """
        import "majority.tts"

        strategy s(n = 4):
            return call majority(n)
        """,
        (4, "write `return majority(n)`"),
    ),
    "clause behind a call": (
        """
        import "chain_of_thought.tts"

        strategy s():
            return chain_of_thought() at temperature 0.7
        """,
        (4, "write `return chain_of_thought(temperature = 0.7)`"),
    ),
    "import without quotes": (
        """
        import majority

        strategy s(n = 4):
            return majority(n)
        """,
        (1, 'write `import "majority.tts"`'),
    ),
    "import of a name": (
        """
        from "majority.tts" import majority

        strategy s(n = 4):
            return majority(n)
        """,
        (1, 'write `import "majority.tts"`'),
    ),
    "misspelled header": (
        """
        stratgy inner(n):
            return vote (sample n)

        strategy s(n = 4):
            return inner(n)
        """,
        (1, "did you mean 'strategy'?"),
    ),
    "misspelled scorer": (
        """
        scoer orm per solution

        strategy s(n = 4):
            pool = sample n
            score pool by orm
            return best of pool by orm
        """,
        (1, "did you mean 'scorer'?"),
    ),
    "argument of another name": (
        """
        strategy t(n):
            return vote (sample n)

        strategy s():
            return t(k = 4)
        """,
        (5, "it takes `n`"),
    ),
}


@pytest.mark.parametrize("name", [*MISTAKES, *FILES])
def test_one_mistake_has_one_message_that_says_what_to_write(name: str) -> None:
    if name in MISTAKES:
        line, (number, said) = MISTAKES[name]
        text = f"{BODY}{line}\n"
    else:
        text, (number, said) = FILES[name]
        text = dedent(text).lstrip()
    found = tts_lang.diagnose(Source.of(text, "mine.tts"))
    about = [each for each in found if each.is_error] or list(found)
    assert len(about) == 1, [each.message for each in about]
    (message,) = about
    assert message.source.position(message.span.start).line == number
    assert said in f"{message.message} {message.suggestion}"
