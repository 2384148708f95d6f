"""Words for what a line means: verbs, small words between their parts, functions, columns.

One table for all verbs: a word stands for one or more meanings, and which of them is meant is
decided by the parts that the line has (`tts_lang.repair.frames`).
"""

from __future__ import annotations

from tts_lang.plan.ops import POOL_VERBS
from tts_lang.repair.scope import words

#: Meanings, and the words and phrases for them. Verbs are called as in FORMS.
_MEANINGS: dict[str, str] = {
    # ---- verbs
    "select": (
        "select, keep, prune, take, pick, choose, retain, top, top k, topk, top_k, "
        "nlargest, narrow, limit, shortlist, beam, prune down, cut down, get, nsmallest, "
        "extract, trim, survivors, rows, head"
    ),
    "best": (
        "best, argmax, max, maximum, winner, highest, largest, greatest, max by, top, "
        "choose, pick, select, most, longest, maximal, argmin, min, minimum, worst, "
        "lowest, smallest, shortest, least, fewest, nlargest, nsmallest, maximize, "
        "minimize, maximise, minimise, strongest, weakest, max of, biggest, random, "
        "choice, random choice, last, latest"
    ),
    "first": (
        "first, take, head, leading, initial, keep, get, limit, slice, next, pick, one, "
        "any, front, one of, any of, first of, last, pop"
    ),
    "where": (
        "where, filter, only, keep, keep only, select, having, such that, whose, that, "
        "which, if, when, retain, restrict, find, those, who, for which, subject to, "
        "satisfying, only those, take, pick, choose, get, rows, with"
    ),
    "where not": (
        "all but, everything but, but, drop, remove, discard, filter out, exclude, "
        "excluding, except, without, delete, -, throw away, reject, eliminate, skip, "
        "prune, kill, minus, unless, get rid of, leave out, other than"
    ),
    "sort": (
        "shuffle, shuffled, reverse, reversed, flip, randomise, randomize, sort, order, "
        "rank, sorted, ordered, arrange, sort by, order by, reorder, ranked, orderby"
    ),
    "vote": (
        "weighted by, vote, weighted, weights, votes, voting, voted, majority, mode, "
        "consensus, plurality, most common, most frequent, most popular, poll, elect, "
        "tally, majority vote, majority voting, common, self consistency, vote on, vote "
        "over, aggregate, popular, frequent, commonest"
    ),
    "expand": (
        "expand, extend, grow, continue, branch, rollout, roll out, advance, step, "
        "complete, finish, lengthen, explore, unroll, expand out, develop, elongate, "
        "generate, decode, proceed, resume"
    ),
    "sample": (
        "sample, samples, draw, generate, gen, rollouts, produce, create, get, llm, "
        "model, sampling, make, request, attempt, completions, try, decode"
    ),
    "fork": (
        "fork, copy, clone, duplicate, replicate, branch, repeat, multiply, tile, copies, "
        "replicas, split, *"
    ),
    "dedupe": (
        "dedupe, unique, distinct, dedup, deduplicate, set, uniq, remove duplicates, drop "
        "duplicates, without duplicates, unique by, merge duplicates, discard duplicates, "
        "duplicates"
    ),
    "resample": "resample, draw, bootstrap, redraw, multinomial, choices, sample, resampling",
    "ask": "ask, prompt, query, apply, call, run, map, tell, request, prompted",
    "cut": (
        "cut, truncate, trim, shorten, rewind, rollback, roll back, crop, chop, go back, "
        "backtrack, cut off"
    ),
    "split": "split, divide, separate, break",
    "descend": "descend, walk, traverse, go down, walk down, follow",
    "score": (
        "score, rate, evaluate, grade, judge, verify, assess, rescore, scored, mark, "
        "evaluated, check, measure"
    ),
    "force": (
        "+, force, append, insert, add, inject, write, put, prefill, push, force in, force text"
    ),
    "let": "let, compute, define, set, calculate, assign, add column",
    "backup": "backup, back up, propagate, backpropagate, update, backprop",
    "repeat": "repeat, loop, for, while, do, times, foreach, iterate, until, again",
    "if": "if, when, unless, elif, in case, provided",
    "choose": "choose, switch, match, case",
    "minus": "minus, -, less, without, except, excluding, subtract",
    "union": (
        "union, concat, merge, combine, join, add, extend, append, plus, together, "
        "concatenate, push, insert, +, |, &, and, +="
    ),
    # ---- between the parts
    "by": (
        "by, using, with, via, on, according to, based on, wrt, with respect to, ranked "
        "by, sorted by, ordered by, order by, sort by, key, under, judged by, measured "
        "by, in order of, as, on the basis of, rated by, scored by, score, in terms of, "
        "for, per, given by, through, use, where, from, to"
    ),
    "of": ("of, from, in, among, out of, over, across, amongst, inside, within, between, on, for"),
    "to": (
        "to, into, down to, in, onto, at, back to, after, by, until, for, as, with, on, "
        "upto, up to, x, down, until it has, leaving"
    ),
    "about": (
        "about, of, on, for, over, with, to, each of, given, regarding, from, using, in, "
        "at, against"
    ),
    "at": "at, on, by, around, after, before",
    "into": "into, in, to, onto, on, at, for, with, as, after",
    "per": (
        "per, groupby, group by, grouped by, for each, for every, within each, in each, "
        "by each, partition by, from each, of each, in every, grouped per, group, by "
        "group, partitioned by, over each, separately for each, across"
    ),
    "until": (
        "until, till, stop when, stopping when, stop if, break when, break if, exit when, "
        "exit if, unless, or until, and stop when, ending when, stopping once, end when, "
        "quit when"
    ),
    "while": "while, as long as, when, so long as, if",
    "weighted": (
        "weighted by, weight by, weights, weight, weighted, weighing, proportional to, in "
        "proportion to, with weight, with weights, weighting by, weighted with, weighted "
        "on, weigh by, weighing by, weighting, weighed by, by weight, using weights"
    ),
    "times": "times, x, time, repetitions, readings, rounds, iterations",
    "looking ahead": "looking ahead, lookahead, look ahead, look-ahead, rolling out, rollout",
    "keeping": "keeping, keep, using, taking, aggregated by, reduce, with",
    "staying by": "staying by, staying, stay, unless",
    "together": (
        "together, jointly, all at once, at once, as a whole, all together, in one go, as "
        "a group, joint, collectively"
    ),
    "with history": (
        "with history, history, in context, as next turn, in the same conversation, "
        "continuing, keeping history, in conversation, with context, with the "
        "conversation"
    ),
    "from": (
        "from, uses, use, using, with, policy, from policy, by, model, on, via, from "
        "model, with policy, with model, using policy, using model"
    ),
    # ---- how to sample
    "temperature": (
        "temperature, temp, at temperature, with temperature, at temp, heat, temperature "
        "of, with temperature of, temperature at, t"
    ),
    "top_p": "top_p, top p, topp, nucleus, nucleus p",
    "top_k": "top_k, topk, top k",
    "min_p": "min_p, minp, min p",
    "max": (
        "max, maximum, at most, up to, limit, no more than, max tokens, max new tokens, "
        "maxlen, max length, max len, capped at, limited to, max_tokens, no longer than, "
        "cap, limit to, maximum of, max of, under, token limit, less than, fewer than, "
        "maxtokens, for, limit of, length, num tokens, maximum tokens, maximum length, "
        "below, cap at, not more than"
    ),
    "within": (
        "within, budget, total, in total, overall, budget of, total of, with budget, with "
        "budget of, within a budget of, token budget, altogether"
    ),
    "at least": (
        "at least, min tokens, minimum, min, no fewer than, no less than, minimum of, min "
        "length, min len, more than"
    ),
    "stop at": (
        "stop at, it says, until it says, says, until it contains, until you see, stop "
        "on, stop, stopping at, until, ending at, up to, stop sequence, stop word, stop "
        "string, stop token, end at, halt at, stopping on, ending with, till, through"
    ),
    "matching": "matching, regex, pattern, match, regexp, matches",
    "stop when": (
        "stop when, stop if, stop once, stop after, stopping when, until, halt when, "
        "stopping if, break when, halt if, pause when"
    ),
    "end when": "end when, end if, end once, end after, ending when, finish when, close when",
    "greedy": (
        "greedy, greedily, deterministic, deterministically, argmax decoding, greedy "
        "decoding, likeliest"
    ),
    # ---- directions
    "high": (
        "highest, largest, best, maximum, max, most, top, descending, desc, decreasing, "
        "biggest, greatest, high to low, largest first, highest first, best first, "
        "descending order, in descending order, decreasing order, from high to low, in "
        "decreasing order, from best to worst, maximal, argmax, nlargest, maximize, "
        "maximise, strongest"
    ),
    "low": (
        "lowest, smallest, worst, minimum, min, least, bottom, ascending, asc, "
        "increasing, fewest, argmin, low to high, smallest first, lowest first, ascending "
        "order, in ascending order, minimal, increasing order, from low to high, in "
        "increasing order, nsmallest, minimize, minimise, weakest, worst first, in "
        "reverse, lowest to highest, smallest to largest"
    ),
    "short": "shortest, shorter, briefest, cheapest, shortest first, fewest tokens",
    "reversed": "reverse, reversed, flip",
    "long": "longest, longer, longest first",
    "random": (
        "random, choice, random choice, randomly, at random, uniformly, any, arbitrary, "
        "shuffle, shuffled, randomise, randomize, uniformly at random"
    ),
    "latest": "last, latest, newest, most recent",
    # ---- others
    "else": "else, otherwise, or else",
    "all": "all, every, each, all of, each of, every one of, everything in",
    "any": "any, some, any of, one of, some of, at least one of",
    "no": "no, none of, not any",
    "nothing": (
        "*, the, a, an, more, then, do, order, copies, samples, children, just, also, "
        "too, please, up, and, ;, ',', {, }, (, ), [, ], answer, candidate, candidates, "
        "of them, them, it, its, one, pool, ones, items, value, values, so that, that "
        "have, have, has, is, are, be, with the, scoring, scores, score, rated, "
        "completions, continuations, independent, parallel, in parallel, different, new, "
        "additional, extra, fresh, separate, overall, which has, whichever, who has, "
        "according, each time, key, by, of, :, =, ->, =>, <-, only, down, or, rest, "
        "sampling, now, ., having, remaining, next, current, same, time, every time, "
        "apiece, simply, as context, as input, as reference, together, all, axis, "
        "reverse, response, responses, solution, solutions, beam, beams, attempt, "
        "attempts, branch, branches, sequences, paths, traces, outputs, texts, trees, "
        "rollouts, chains, from, to, at, with, in, on, for, as, into, list"
    ),
}
MEANINGS: dict[str, frozenset[str]] = {}
for _meaning, _words in _MEANINGS.items():
    for _word in _words.replace("','", "\x00").split(", "):
        _key = _word.strip().replace("\x00", ",")
        MEANINGS[_key] = MEANINGS.get(_key, frozenset()) | {_meaning}

for _verb in POOL_VERBS:  # each for itself, a new one too
    MEANINGS[_verb] = MEANINGS.get(_verb, frozenset()) | {_verb}

#: Words that are a verb, a statement or a loop at the head of a line.
VERB_WORDS = frozenset(
    word
    for meaning in (
        *("select", "first", "where not", "sort", "vote", "expand", "sample", "fork", "dedupe"),
        *("resample", "ask", "cut", "split", "descend", "score", "force", "let", "backup"),
        *("repeat", "choose", *POOL_VERBS),
    )
    for word, meanings in MEANINGS.items()
    if meaning in meanings and word.isalpha()
) - {"any", "one", "next", "with", "do", "all", "x", "times"}

#: Words for how far a call runs.
UNITS: dict[str, str] = {
    **dict.fromkeys(("step", "steps", "sentence", "sentences", "paragraph", "paragraphs"), "steps"),
    **dict.fromkeys(("line", "lines", "reasoning steps", "more steps", "more step"), "steps"),
    **dict.fromkeys(("token", "tokens", "tok", "toks", "new tokens"), "tokens"),
    **dict.fromkeys(("thought", "thoughts"), "thoughts"),
}
#: Words for rows: a number before them counts these.
ROWS = words(
    "solution solutions candidate candidates sample samples completion completions answer "
    "answers response responses child children copy copies rollout rollouts output "
    "outputs attempt attempts trace traces chain chains branch branches continuation "
    "continuations time times path paths item items row rows node nodes draw draws beam "
    "beams hypothesis hypotheses clone clones result results option options each replica "
    "replicas sequences sequence generations generation alternatives apiece ways"
)
#: Other names of functions.
FUNCTIONS_MEANT: dict[str, str] = {
    **dict.fromkeys(("avg", "average", "mean", "expected"), "mean"),
    **dict.fromkeys(("final", "latest", "last"), "last"),
    **dict.fromkeys(("product", "prod"), "prod"),
    **dict.fromkeys(("total", "sum"), "sum"),
    **dict.fromkeys(("minimum", "lowest", "smallest", "min", "worst", "least"), "min"),
    **dict.fromkeys(("maximum", "highest", "largest", "max", "greatest"), "max"),
    **dict.fromkeys(("len", "length", "size", "num", "count", "cardinality"), "count"),
    **dict.fromkeys(("std", "stddev", "stdev", "variance", "var", "deviation"), "std"),
    **dict.fromkeys(("ln", "log", "log2", "log10"), "log"),
    **dict.fromkeys(("int", "trunc", "floor"), "floor"),
    **dict.fromkeys(("ceil", "ceiling"), "ceil"),
    **dict.fromkeys(("agreement", "consensus", "share", "confidence_of"), "share"),
    **dict.fromkeys(("random", "rand", "uniform"), "uniform"),
    **dict.fromkeys(("first", "initial", "head"), "first"),
    **{
        name: name
        for name in [
            "exp",
            "sqrt",
            "abs",
            "clip",
            "odds",
            "remainder",
            "erf",
            "extract",
            "number",
            "argmin",
            "argmax",
            "first_below",
            "nth",
            "take",
            "softmax",
            "rank",
            "has",
            "leaves",
            "normal",
            "gumbel",
            "beta",
            "confidence",
            "certainty",
            "margin",
            "entropy",
            "lead",
            "median",
            "round",
            "percentile",
            "pow",
            "sigmoid",
            "quantile",
            "empty",
            "missing",
            "exists",
            "isnull",
        ]
    },
}
#: Other names of columns; a text that is no column is an expression.
COLUMNS_MEANT: dict[str, str] = {
    **dict.fromkeys(("length", "len", "token count", "tokens used", "number of tokens"), "tokens"),
    **dict.fromkeys(("num tokens", "token length", "size", "token"), "tokens"),
    **dict.fromkeys(("number of steps", "step count", "num steps", "depth"), "steps"),
    **dict.fromkeys(("finished", "complete", "completed", "ended", "is done", "closed"), "done"),
    **dict.fromkeys(("is finished", "are done", "is complete", "terminated"), "done"),
    **dict.fromkeys(("logprobs", "log prob", "logp", "log probability"), "logprob"),
    **dict.fromkeys(("log likelihood", "loglikelihood", "cumulative logprob"), "logprob"),
    **dict.fromkeys(("probability", "prob", "likelihood"), "exp(logprob)"),
    **dict.fromkeys(("unfinished", "open", "not done", "still open", "incomplete"), "not done"),
    **dict.fromkeys(("tree", "trees", "origin", "start", "roots"), "root"),
    **dict.fromkeys(("parents",), "parent"),
    **dict.fromkeys(("final answer", "answers"), "answer"),
    **dict.fromkeys(("texts",), "text"),
    **dict.fromkeys(("finish_reason", "finish reason", "stop_reason", "stop reason"), "finish"),
    **dict.fromkeys(("self_certainty", "self certainty"), "certainty(all)"),
    "perplexity": "exp(-logprob / tokens)",
    "confidence": "confidence(all)",
    "uniform": "uniform()",
}
#: A score that is not named: the scorer that there is.
SCORES = words("score scores reward rewards rating ratings quality grade verifier")
#: Comparisons in words, after a value.
COMPARISONS: dict[str, str] = {
    **dict.fromkeys(("greater than", "more than", "larger than", "higher than", "above"), ">"),
    **dict.fromkeys(("over", "exceeds", "exceeding", "bigger than", "better than"), ">"),
    **dict.fromkeys(("beats", "greater", "higher", "gt", "exceed", "larger", "more"), ">"),
    **dict.fromkeys(("less than", "smaller than", "lower than", "below", "under"), "<"),
    **dict.fromkeys(("fewer than", "worse than", "lt", "smaller", "lower", "less"), "<"),
    **dict.fromkeys(("at least", "no less than", "greater than or equal to", "gte"), ">="),
    **dict.fromkeys(("or more", "ge", "not below", "not less than", "no lower than"), ">="),
    **dict.fromkeys(("at most", "no more than", "less than or equal to", "up to"), "<="),
    **dict.fromkeys(("le", "lte", "not above", "not more than", "no higher than"), "<="),
    **dict.fromkeys(("equals", "equal to", "equal", "is equal to", "same as", "="), "=="),
    **dict.fromkeys(("eq", "===", "is the same as", "is exactly", "is"), "=="),
    **dict.fromkeys(("is not", "not equal to", "differs from", "isn't", "<>", "!=="), "!="),
    **dict.fromkeys(("different from", "ne", "not equals", "!= to", "is different from"), "!="),
    **dict.fromkeys(("reaches", "hits", "gets to", "has reached", "reached"), ">="),
    **dict.fromkeys(("contains", "includes", "has", "contain", "matches", "include"), "contains"),
    **dict.fromkeys(("mentions", "like", "containing", "~", "containing the word"), "contains"),
    **dict.fromkeys(("ends with", "endswith", "ending with", "ends in", "end with"), "ends with"),
    **dict.fromkeys((">", "<", ">=", "<=", "==", "!="), ""),
}
for _sign in (">", "<", ">=", "<=", "==", "!="):
    COMPARISONS[_sign] = _sign
#: Predicates after a value, with V for the value.
PREDICATES: dict[str, str] = {
    **dict.fromkeys(("exists", "is present", "is not none", "is not null", "!= none"), "has(V)"),
    **dict.fromkeys(("is not missing", "is known", "is there", "is defined", "is set"), "has(V)"),
    **dict.fromkeys(("!= null", "is not empty", "present", "is not None", "!= None"), "has(V)"),
    **dict.fromkeys(("is missing", "is none", "is null", "== none", "missing"), "not has(V)"),
    **dict.fromkeys(("is None", "== None", "== null", "is empty", "is absent"), "not has(V)"),
}
#: Predicates after a pool.
EMPTINESS: dict[str, str] = {
    **dict.fromkeys(
        ("is empty", "are empty", "== none", "is none", "empty", "= none", "== [ ]", "== { }"),
        "== 0",
    ),
    **dict.fromkeys(
        ("is not empty", "nonempty", "is nonempty", "!= none", "exists", "!= [ ]"), "> 0"
    ),
}
#: Texts that are named by words.
TEXT_WORDS: dict[str, str] = {
    **dict.fromkeys(("newline", "newlines", "linebreak", "linebreaks"), r'"\n"'),
    **dict.fromkeys(("comma", "commas"), '","'),
}
#: Words that are no names of strategies, where nothing is declared so.
KNOWN_WORDS = frozenset({*MEANINGS, *FUNCTIONS_MEANT, *COLUMNS_MEANT})
