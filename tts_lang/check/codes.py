"""Diagnostic codes of the checker: names, kinds, columns, numbers, control, files, warnings."""

from __future__ import annotations

from tts_lang.codes import Code

CODES: tuple[Code, ...] = (
    # ------------------------------------------------------------------ names, kinds, columns
    Code(
        "TTS201",
        "unknown name",
        "A name is used that nothing in this file or its imports declares. `policy` and `prm` "
        "exist without being declared; every other policy, scorer and prompt is declared at the "
        "top of the file.",
    ),
    Code(
        "TTS202",
        "name already means something else",
        "Columns, functions, parameters, variables, scorers, prompts, policies and strategies "
        "share one name space, without shadowing: a name means one thing in a strategy.",
    ),
    Code(
        "TTS203",
        "declared twice",
        "Two declarations or two parameters have one name. Rename or remove one of them.",
    ),
    Code(
        "TTS204",
        "no value on every path",
        "A variable is used where, on some path, it has not got a value: it is assigned only in "
        "a branch that may not be taken, or in a loop that may run no round. Assign it before.",
    ),
    Code(
        "TTS205",
        "a pool is needed",
        "A verb works on a pool of candidates, and this is a number, a text or a condition.",
    ),
    Code(
        "TTS206",
        "wrong kind of value",
        "A number, a text or a condition is needed, and this is something else.",
    ),
    Code(
        "TTS207",
        "column outside a pool",
        "A column has one value for each candidate, so it means something only where the rows of "
        "a pool are looked at: `where`, `by`, `let`, `weighted by`. Outside, aggregate it: "
        "`mean(tokens of pool)`.",
    ),
    Code(
        "TTS208",
        "column not there on every path",
        "A column is used that this pool does not have, or does not have on some path. Scores are "
        "gone after `expand`, `force`, `ask` and `cut`, because the text has changed: score the "
        "pool again. A union keeps the columns that both sides have.",
    ),
    Code(
        "TTS209",
        "scores per step need a reduction",
        "A process scorer gives one number per step. Where one number is needed, say which: "
        "`last(prm)`, `min(prm)`, `mean(prm)`, `prod(prm)`, `max(prm)`, `sum(prm)`, `first(prm)`.",
    ),
    Code(
        "TTS210",
        "reduction or aggregate of the wrong thing",
        "Reductions such as `last(prm)` turn a score per step into one number; aggregates such as "
        "`mean(tokens of pool)` turn one number per candidate into one number.",
    ),
    Code(
        "TTS211",
        "finish is never that",
        '`finish` is one of "stop" (the unit was reached), "end" (the policy ended), "length" '
        '(a limit), "cut" and "failed" (there is no text).',
    ),
    Code(
        "TTS212",
        "a variable is needed",
        "`score`, `force`, `let` and `backup` give a variable a new value, so they need the name "
        "of a variable: assign the pool first. `problem` cannot be changed.",
    ),
    Code(
        "TTS213",
        "not a key",
        "`per`, `on` and `by` group rows by a column with one value for each candidate: "
        "`parent`, `root`, `answer`, a `let` column or an outcome score.",
    ),
    Code(
        "TTS214",
        "wrong arguments of a function",
        "A function was given too many or too few arguments, or named ones.",
    ),
    Code(
        "TTS215",
        "variable changes its kind",
        "A variable holds pools or numbers, and does not change from one to the other.",
    ),
    Code(
        "TTS216",
        "name of the wrong kind",
        "A scorer, policy, prompt or strategy is needed here, and this name is something else.",
    ),
    Code(
        "TTS217",
        "wrong slot in a prompt",
        "A slot in braces is neither built in nor a parameter of the prompt, or it needs a "
        "pool and the prompt looks at one candidate. Literal braces are doubled: `{{`.",
    ),
    Code(
        "TTS218",
        "wrong arguments of a prompt or judge",
        "A prompt or judge takes the arguments that its parameters name, each once.",
    ),
    Code(
        "TTS219",
        "not usable here",
        "Functions over the current pool (`softmax`, `rank`, `per`, `below`) need a pool whose "
        "rows are looked at, and cannot look at a pool while it is being generated.",
    ),
    # ------------------------------------------------------------------ numbers and bounds
    Code(
        "TTS301",
        "not a positive whole number",
        "Counts, lengths and token limits are whole numbers of at least 1. A fraction is rounded "
        "down, with a warning; 0 is an error (C39).",
    ),
    Code(
        "TTS302",
        "number out of range",
        "Temperature is at least 0, top_p in (0, 1], top_k at least 1, min_p in [0, 1], a "
        "percentage or quantile between 0 and 1, the range of a scorer rising.",
    ),
    Code(
        "TTS303",
        "must be known when compiling",
        "The number of rounds of a loop, arguments of strategies and settings of declarations are "
        "computed from literals and parameters only, so that every strategy ends.",
    ),
    Code(
        "TTS304",
        "arm cannot be reached",
        "The arms of `choose` are tried from the top: thresholds fall from arm to arm (C38).",
    ),
    Code(
        "TTS305",
        "more than one row returned",
        "`return` takes the answer of a pool's first row, so the pool has at most one (C40). Say "
        "which: `best of P by E`, `vote P` or `first of P`.",
    ),
    Code(
        "TTS306",
        "wrong amount",
        "An amount is `COUNT [x LENGTH] UNIT`: `4 steps` is four children of one step, `1 x 3 "
        "steps` one child three steps deep, `8 x 256 tokens` eight children of up to 256 tokens.",
    ),
    Code(
        "TTS307",
        "rejection without chance",
        "At temperature 0 all samples are equal, so that a search among them for one that fits "
        "finds the first or none (C15).",
    ),
    Code(
        "TTS308",
        "wrong form of what is drawn",
        "`matching` takes one regular expression, which all that the call draws has to match, "
        "`one of` different texts, `avoiding` words. A form is asked of solutions, steps and "
        "tokens, not of thoughts, and not together with `at least` (C77, C78).",
    ),
    Code(
        "TTS309",
        "no text to look for",
        "`split` looks for the text between pieces, `stop at` for the text that stops, a judge for "
        "its marker and its options, a scorer for a field: texts with something in them. Options "
        "differ in more than their case, but for single letters.",
    ),
    # ------------------------------------------------------------------ control and calls
    Code(
        "TTS401",
        "strategy may end without a result",
        "Every path through a strategy ends with `return`.",
    ),
    Code(
        "TTS402",
        "strategies call each other in a circle",
        "A strategy is inlined where it is called, so it cannot call itself, directly or through "
        "others.",
    ),
    Code(
        "TTS403",
        "wrong arguments of a strategy",
        "A strategy takes the arguments that its parameters name, each once; parameters without "
        "a default must be given.",
    ),
    Code(
        "TTS404",
        "two meanings of one name in one plan",
        "Strategies from different files meet in one plan, and their prompts or scorers of one "
        "name differ. Streams and scores are named by them, so one must be renamed.",
    ),
    Code(
        "TTS405",
        "plan too large",
        "Calls of strategies are inlined, and a plan has at most 10,000 operations, and a pool at "
        "most 200 columns of its own.",
    ),
    Code(
        "TTS406",
        "clause does not fit",
        "Some clauses work only with some scorers or verbs: `times` needs a judge, `per` a "
        "scorer or prompt that looks at a pool together.",
    ),
    Code(
        "TTS407",
        "nested too deeply",
        "Expressions, blocks or calls are nested more deeply than any strategy needs.",
    ),
    # ------------------------------------------------------------------ files and flags
    Code(
        "TTS551",
        "import cannot be read",
        "The path of an import is relative to the file that imports. Imports are regular `.tts` "
        "files in the folder of the main file or below it, or shipped ones; nothing else is read.",
    ),
    Code(
        "TTS552",
        "files import each other in a circle",
        "Move what both files need into a third one.",
    ),
    Code(
        "TTS553",
        "no such strategy",
        "The name is neither a file nor a strategy that is shipped with the package.",
    ),
    Code(
        "TTS554",
        "which strategy?",
        "The file has several strategies, and none has the file's name: choose with FILE:STRATEGY.",
    ),
    Code(
        "TTS555",
        "no such parameter",
        "`--set` names a parameter that the strategy does not have.",
    ),
    Code(
        "TTS556",
        "wrong value for a parameter",
        "The value given to a parameter is of another kind than its default.",
    ),
    Code(
        "TTS557",
        "parameter needs a value",
        "The parameter has no default: give it with `--set`.",
    ),
    # ------------------------------------------------------------------ warnings
    Code("TTS901", "score never used", "Scoring costs tokens, and nothing reads this score."),
    Code("TTS902", "variable never used", "A value is made, or given, and nothing reads it."),
    Code(
        "TTS903",
        "loop makes no progress",
        "Every round would do the same: nothing that the next round reads changes, or whole "
        "solutions are expanded in a loop, and they are done after the first round.",
    ),
    Code(
        "TTS904",
        "pool may be empty",
        "`where` may keep no candidate, and then there is no answer. Guard it, or add candidates "
        "to fall back on.",
    ),
    Code(
        "TTS905",
        "selection keeps everything",
        "The pool never has more candidates than are selected.",
    ),
    Code("TTS906", "count rounded down", "A count is not whole and is rounded down (C39)."),
    Code(
        "TTS907",
        "dealt unevenly",
        "The candidates cannot all get equally many children: earlier ones get one more (C20).",
    ),
    Code(
        "TTS908",
        "equal samples",
        "At temperature 0 the key of a candidate is ignored, so all its children are equal (C15).",
    ),
    Code(
        "TTS909",
        "unreachable code",
        "Nothing after `return` is executed, and an arm whose threshold is beyond the range of "
        "what is compared is never taken.",
    ),
    Code(
        "TTS910",
        "nothing left to expand",
        "Done candidates pass through `expand` unchanged (C18). A candidate is done where the "
        "policy, `within` or `end when` ended it (C17), as are whole solutions without `max`, "
        "`stop at` or `stop when`. `force` and `cut` open it again.",
    ),
    Code(
        "TTS911",
        "call gives the same again",
        "A call means what it means alone, so the same call gives the same candidates again (C13): "
        "in every round of a loop, or beside another one in a pool, where a vote counts them "
        "twice. `fresh S(...)` runs on samples of its own (C65).",
    ),
    Code(
        "TTS913",
        "what looks like a slot and is none",
        "A prompt shows it as it stands. A slot is a name alone in braces: no format, no number, "
        "no `%s`. Doubled braces are for text that should have braces.",
    ),
    Code(
        "TTS914",
        "slot for a column that other files make",
        "The prompt or judge is used by no strategy of this file, and none makes a column of this "
        "name. It is looked for in the pool that is asked about, where the prompt is used.",
    ),
    Code(
        "TTS915",
        "column of the problem",
        "A clause may read columns of the row that is continued (C69). What `sample` continues is "
        "the problem, which is one row, so all its children have the same value.",
    ),
    Code(
        "TTS912",
        "hidden character",
        "A comment or text holds a character that is not seen, such as one that turns the "
        "direction of what follows: the file may do something else than it seems to.",
    ),
)
