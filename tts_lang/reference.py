"""One-line meanings of the words of the language, for hover and completion.

docs/language.md says the same in its tables; tests compare the two, and every word that the
operator, column and function tables know has an entry (tests/lsp/test_reference.py).
"""

from __future__ import annotations

from typing import NamedTuple

from tts_lang.plan.columns import COLUMNS
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.repair.words import FORMS


class WordMeaning(NamedTuple):
    """The form and the meaning of a word."""

    form: str
    meaning: str


_VERBS = {
    "sample": "children of the problem: short for `expand problem by AMOUNT`",
    "expand": "every candidate gets that many children",
    "select": "the best k by E, ties to the earlier",
    "best": "`select top 1 of P by E`",
    "first": "the first rows",
    "ask": "a new conversation about each candidate, or about the whole pool",
}

_OTHERS = {
    "score": "gives every row the column S",
    "force": "appends a text that the policy does not choose",
    "let": "gives every row a column of its own",
    "backup": "adds what rows of P have to the statistics of the rows of T above them",
    "repeat": "the block again and again; C is read before every round",
    "if": "the block if C is true",
    "choose": "the first arm whose threshold E exceeds; a missing E takes `otherwise`",
    "return": "ends the strategy with a pool: its first row answers the problem",
    "import": "strategies, scorers and prompts of another file",
    "policy": "a model that samples, bound when the strategy runs",
    "scorer": "what gives candidates a number, bound when the strategy runs",
    "prompt": "a text with slots, for `ask`",
    "judge": "a policy that scores: a prompt, and how its reply is read",
    "strategy": "how to spend computation on one problem",
    "law": "two calls that give equal answers for every policy, scorer and problem",
}

#: Clauses of sampling, by the word that they begin with after `at`, `stop` or `end`.
CLAUSES = {
    "temperature": WordMeaning("at temperature E", "temperature of sampling"),
    "top_p": WordMeaning("top_p E", "samples from the likeliest tokens with this much probability"),
    "top_k": WordMeaning("top_k E", "samples from the E likeliest tokens"),
    "min_p": WordMeaning("min_p E", "drops tokens below this part of the likeliest one"),
    "max": WordMeaning("max E tokens", "stops after E tokens of this call; stays open"),
    "within": WordMeaning("within E tokens", "stops once the path has E tokens; done"),
    "least": WordMeaning("at least E tokens", "does not end before E tokens"),
    "likeliest": WordMeaning("likeliest", "the likeliest token each time"),
    "from": WordMeaning("from POLICY", "the policy that samples"),
    "stop": WordMeaning(
        "stop at TEXT, stop when CONDITION",
        "stops behind the text, or after the first token at which C holds; stays open",
    ),
    "matching": WordMeaning("matching REGEX", "all that the call draws matches this"),
    "one": WordMeaning('one of "A", "B"', "draws one of these texts, then ends"),
    "avoiding": WordMeaning(
        'avoiding "W" by E', "takes E nats from the logits of the tokens that begin the word"
    ),
    "end": WordMeaning("end when CONDITION", "stops after the first token at which it holds; done"),
    "where": WordMeaning("P where CONDITION", "the rows for which the condition holds"),
    "fresh": WordMeaning(
        "fresh S(args) [on P]", "a strategy on samples of its own, new ones each time"
    ),
    "weighted": WordMeaning("weighted by E", "in proportion to E"),
    "per": WordMeaning("per KEY", "for each group of rows with equal KEY"),
    "keeping": WordMeaning("keeping mean|max|last|sum", "what a row of a tree keeps"),
    "until": WordMeaning("repeat N until C:", "ends the loop; read before every round"),
    "together": WordMeaning("together", "one conversation, or one reading, of the whole pool"),
    "looking": WordMeaning("looking ahead k steps", "scores greedy rollouts, then drops them"),
    "times": WordMeaning("times k", "k independent readings, or descents"),
    "pairwise": WordMeaning("judge NAME pairwise:", "reads every ordered pair of candidates"),
    "read": WordMeaning(FORMS["read"], "what the judge's reply is read as"),
    "retry": WordMeaning(FORMS["retry"], "asks again where the reply cannot be read"),
    "staying": WordMeaning(
        "staying by F", "ends above the leaves, at a row where staying is worth as much"
    ),
    "contains": WordMeaning('text contains "T"', "whether one text is in the other"),
    "ends": WordMeaning('text ends with "T"', "whether a text ends with another"),
    "below": WordMeaning("f(E of Q below)", "over the row's descendants in Q"),
    "tail": WordMeaning("tail w", "the last w tokens"),
    "lowest": WordMeaning(
        "lowest w [share q]", "the lowest mean over windows of w tokens, or of the lowest q of them"
    ),
    "otherwise": WordMeaning("otherwise:", "the arm that is left"),
    "above": WordMeaning("above E:", "the arm for values above E"),
}

_STEPS = "of the scores of a process scorer's steps"
_FUNCTIONS = {
    "count": ("count(P)", "how many rows a pool has"),
    "share": ("share(P)", "the leading answer's part of the vote"),
    "lead": ("lead(P)", "the probability that the leading answer is the mode"),
    "entropy": (
        "entropy(P), entropy(all|step|answer|tail w|lowest w)",
        "of a pool's votes, or the mean of the next-token distributions, in nats",
    ),
    "mean": ("mean(prm), mean(E of P)", f"the mean, {_STEPS} or over a pool"),
    "sum": ("sum(prm), sum(E of P)", f"the sum, {_STEPS} or over a pool"),
    "min": ("min(prm), min(E of P), min(a, b)", "the smallest"),
    "max": ("max(prm), max(E of P), max(a, b)", "the largest"),
    "std": ("std(E of P)", "the standard deviation over a pool"),
    "first": ("first(prm), first(E of P)", "of the first step, or of a pool's first row"),
    "quantile": ("quantile(prm, q), quantile(E of P, q)", "0.5 is the median"),
    "last": ("last(prm)", "the last step's score"),
    "prod": ("prod(prm)", f"the product {_STEPS}"),
    "log": ("log(x)", "the natural logarithm"),
    "exp": ("exp(x)", "e to the power of x"),
    "sqrt": ("sqrt(x)", "the square root"),
    "floor": ("floor(x)", "the next whole number below"),
    "ceil": ("ceil(x)", "the next whole number above"),
    "abs": ("abs(x)", "the absolute value"),
    "clip": ("clip(x, low, high)", "x, but at least low and at most high"),
    "odds": ("odds(x)", "x / (1 - x): missing for x = 1"),
    "remainder": ("remainder(x, y)", "what is left of x after division by y"),
    "erf": ("erf(x)", "the error function"),
    "extract": (
        'extract("REGEX", text)',
        "the first group of the leftmost match, or all of it; missing without one",
    ),
    "number": (
        "number(text)",
        "the number that a text is, as in `1,234.5` and `45%`; else missing",
    ),
    "argmin": ("argmin(prm)", "how many steps come before the one with the lowest score"),
    "argmax": ("argmax(prm)", "how many steps come before the one with the highest score"),
    "first_below": ("first_below(prm, x)", "how many steps come before the first one below x"),
    "nth": ("nth(prm, k)", "the score of step k, from 0"),
    "take": ("take(prm, k)", "the scores of the first k steps, as in `mean(take(prm, 3))`"),
    "softmax": ("softmax(E [per KEY], temperature)", "the row's part, over the current pool"),
    "rank": (
        "rank(E [per KEY]), rank(E, E)",
        "the row's place by E in the current pool, 1 for the largest; then by the next E",
    ),
    "has": ("has(E)", "whether E is not missing"),
    "leaves": ("leaves(T)", "all leaves of a tree"),
    "uniform": ("uniform()", "a random number between 0 and 1"),
    "normal": ("normal()", "a random number of the standard normal distribution"),
    "gumbel": ("gumbel()", "a random number of the standard Gumbel distribution"),
    "beta": ("beta(a, b)", "a random number of this beta distribution"),
    "confidence": (
        "confidence(all|step|answer|tail w|lowest w [share q])",
        "minus the mean log-probability of the 20 likeliest tokens at each place",
    ),
    "certainty": (
        "certainty(all|step|answer|tail w|lowest w [share q])",
        "how far the next-token distributions are from uniform, in nats",
    ),
    "margin": (
        "margin(all|step|answer|tail w|lowest w [share q])",
        "the probability of the likeliest token minus that of the next",
    ),
}

_VERBS |= {word: verb.about for word, verb in POOL_VERBS.items()}
VERBS = {word: WordMeaning(FORMS[word], meaning) for word, meaning in _VERBS.items()}
STATEMENTS = {
    word: WordMeaning(FORMS.get(word, "return P"), meaning) for word, meaning in _OTHERS.items()
}
FUNCTIONS = {word: WordMeaning(*entry) for word, entry in _FUNCTIONS.items()}
NAMES = {
    "problem": WordMeaning("problem", "the pool that holds the problem itself"),
    "none": WordMeaning("none", "the pool without rows"),
    "default": WordMeaning("default", "leaves a clause as it is without it"),
    "end_of_thought": WordMeaning("end_of_thought", "the policy's text that ends a thought"),
    "end_of_step": WordMeaning("end_of_step", "the policy's text that ends a step"),
}


def column_meaning(name: str) -> WordMeaning | None:
    """A built-in column: its type, its range, and its meaning."""
    column = COLUMNS.get(name)
    if column is None:
        return None
    type_ = column.type
    if column.values:
        type_ += " (" + ", ".join(f'"{value}"' for value in column.values) + ")"
    missing = "; may be missing" if column.optional else ""
    return WordMeaning(f"{name}: {type_}", column.about + missing)


def meaning(word: str, *, called: bool = False) -> WordMeaning | None:
    """The meaning of a word; with `called`, of one before a parenthesis."""
    tables = (VERBS, STATEMENTS, CLAUSES, FUNCTIONS, NAMES)
    for table in (FUNCTIONS, *tables) if called else tables:
        if word in table:
            return table[word]
    return column_meaning(word)
