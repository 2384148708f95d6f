"""Diagnostic codes of reading a file: bytes, tokens, grammar (TTS1xx)."""

from __future__ import annotations

from tts_lang.codes import Code

CODES: tuple[Code, ...] = (
    Code(
        "TTS100",
        "file cannot be read",
        "The file does not exist, is a folder, may not be read or is larger than 128 KiB. Shipped "
        "strategies are found by their name alone, such as `beam_search`.",
    ),
    Code(
        "TTS101",
        "not UTF-8",
        "Strategy files are UTF-8 text. The byte shown cannot be decoded: save the file as UTF-8. "
        "A byte order mark and Windows line ends are accepted.",
    ),
    Code(
        "TTS102",
        "control character",
        "The file holds a control character, such as a NUL byte, outside a text. It is usually the "
        "trace of a damaged or binary file: remove it.",
    ),
    Code(
        "TTS103",
        "unknown character",
        "The character has no meaning in the language. Texts stand in straight double quotes, "
        "names are made of ASCII letters, digits and `_`, and there are no `[ ] { } . ; ^ %`.",
    ),
    Code(
        "TTS104",
        "unclosed text",
        'A text that begins with `"` ends on the same line; a text that begins with `"""` may '
        'hold several lines and ends with `"""`.',
    ),
    Code(
        "TTS105",
        "unclosed parenthesis",
        "A `(` has no matching `)` before the next statement begins. Inside parentheses a "
        "statement may continue over several lines, as long as they are indented deeper.",
    ),
    Code("TTS106", "unmatched parenthesis", "A `)` closes nothing: remove it, or add the `(`."),
    Code(
        "TTS107",
        "indentation is not made of spaces",
        "Indentation is made of spaces only, since the width of a tab differs between editors. "
        "`tts-compile --fmt` indents a file by four spaces a level.",
    ),
    Code(
        "TTS108",
        "indentation matches no block",
        "A line begins at a column at which no open block begins. Lines of one block begin at the "
        "same column. A line that is indented deeper than the one above continues it, unless "
        "that one ends with `:`.",
    ),
    Code(
        "TTS109",
        "nested too deeply",
        "Blocks, parentheses and expressions may be nested only so deep. Give parts names with "
        "`=`, or move them into a strategy of their own.",
    ),
    Code(
        "TTS110",
        "malformed number",
        "Numbers are written `16`, `16_000`, `0.5`, `1e-3` and `10%`, with a digit on each side of "
        "a point and no letters after them.",
    ),
    Code(
        "TTS111",
        "single quotes",
        'Texts stand in double quotes: `"Wait"`. Single quotes have no meaning.',
    ),
    Code(
        "TTS112",
        "unknown escape",
        r'Inside `"..."` the escapes are `\n`, `\t`, `\"` and `\\`. Inside `"""` a backslash is '
        "just a backslash, so that LaTeX can be written as it is.",
    ),
    Code(
        "TTS120",
        "unexpected word or sign",
        "What stands here does not fit the grammar. The message lists what could stand in its "
        "place, and names a word that is probably meant.",
    ),
    Code(
        "TTS121",
        "missing colon",
        "A line that opens a block ends with `:`: headers of strategies and judges, `repeat`, "
        "`if`, `else`, `choose by`, `above` and `otherwise`.",
    ),
    Code(
        "TTS122",
        "`=` where values are compared",
        "`=` gives a variable, a parameter or an argument its value. Values are compared by `==`.",
    ),
    Code(
        "TTS123",
        "word of another language",
        "The word belongs to another language. Loops are `repeat N until CONDITION:`, branches "
        "`else if`, strategies begin with `strategy`, rows are filtered by `where`.",
    ),
    Code(
        "TTS124",
        "verb phrase without parentheses",
        "A verb phrase such as `sample 4` stands alone after `=` or `return`. Inside a longer "
        "expression it needs parentheses: `pool + (sample 4)`.",
    ),
    Code(
        "TTS125",
        "`vote ... by`",
        "`vote P` counts equal answers. To weigh the votes write `vote P weighted by last(prm)`, "
        "to vote on another column `vote P on KEY`, and to take the best row `best of P by E`.",
    ),
    Code(
        "TTS126",
        "`from` instead of `of`",
        "Rows are taken `of` a pool: `select top 4 of beams by last(prm)`. `from` names a policy: "
        "`sample 4 from small`.",
    ),
    Code(
        "TTS127",
        "`repeat N times`",
        "A loop is written `repeat N:`. `times` belongs to `score P by JUDGE times 3`, which "
        "takes several readings.",
    ),
    Code(
        "TTS128",
        "`all done` without a pool",
        "`all P done` and `any P done` test the rows of a pool, which must be named.",
    ),
    Code(
        "TTS129",
        "`let` without a pool",
        "`let NAME of P = E` computes a column of a pool. A plain variable is set by `NAME = E`.",
    ),
    Code(
        "TTS130",
        "update operator",
        "There is no `+=`: write `pool = pool + more`.",
    ),
    Code(
        "TTS131",
        "comma between clauses",
        "Clauses follow each other without commas: `sample 4 at temperature 0.8 top_p 0.95`.",
    ),
    Code(
        "TTS132",
        "`force` without `into`",
        'Forced text comes first, then the pool: `force "Wait" into trace`.',
    ),
    Code(
        "TTS133",
        "`stop` without `at` or `when`, `end` without `when`",
        'A generation stops at a text, `stop at "Step 2"`, or at a condition that is checked '
        "after every token, `stop when confidence(tail 2048) < 10`; `end when` also closes the "
        "candidate.",
    ),
    Code(
        "TTS134",
        "function over a pool",
        "A function over a pool holds the pool inside its parentheses, as part of its first "
        "argument: `mean(last(prm) of pool)`, `quantile(tokens of pool, 0.9)`, `count(pool)`.",
    ),
    Code(
        "TTS135",
        "chained comparison",
        "Comparisons do not chain: write `a < b and b < c`.",
    ),
    Code(
        "TTS136",
        "value that is not used",
        "Verb phrases and calls give a pool and change nothing by themselves. Assign the pool to "
        "a name or return it. (`score`, `force`, `let` and `backup` are statements.)",
    ),
    Code(
        "TTS137",
        "statement used as a value",
        "`score`, `force`, `let` and `backup` change the pool that they name, and have no value. "
        "Give them a line of their own.",
    ),
    Code(
        "TTS138",
        "amount with a wrong unit",
        "Amounts are `COUNT [x LENGTH] UNIT`. `64 tokens` alone could mean 64 children or 64 "
        "tokens: write `1 x 64 tokens` for one child of up to 64 tokens. `cut` counts steps or "
        "tokens.",
    ),
    Code(
        "TTS139",
        "clause given twice",
        "Each clause may be given once, in any order.",
    ),
    Code(
        "TTS140",
        "reserved word used as a name",
        "The word belongs to the language, so nothing else may be called so. Words such as "
        "`step`, `best` or `max` may be used as names.",
    ),
    Code(
        "TTS141",
        "unknown reading of a judge",
        'A judge reads a `number`, a `choice` (`read choice of "sure" = 20, "likely" = 1`), a '
        '`ranking` or a `probability` (`read probability of "Yes"`) from its reply.',
    ),
    Code(
        "TTS142",
        "second `where`",
        "`P where C` takes one condition, which reaches to the end of the expression. Join "
        "conditions with `and`.",
    ),
    Code(
        "TTS143",
        "missing block",
        "A line that ends with `:` is followed by at least one statement, on the same line or on "
        "lines that are indented deeper.",
    ),
    Code(
        "TTS144",
        "`else` without `if`",
        "An `else` stands below an `if` and its block, indented like the `if`. The last branch of "
        "`choose by` is `otherwise:`.",
    ),
    Code(
        "TTS145",
        "statement outside a strategy",
        "At the top level of a file stand `import`, `policy`, `scorer`, `prompt`, `judge`, "
        "`strategy` and `law`; statements stand inside strategies.",
    ),
    Code(
        "TTS146",
        "`per` without `together`",
        "`ask ... together per KEY` opens one conversation for each group of rows. Without "
        "`together` there is one for each row, and nothing to group.",
    ),
    Code(
        "TTS147",
        "law about something else",
        "A law compares the answers of two strategies, as in "
        "`law majority(n = 1) == chain_of_thought()`.",
    ),
    Code(
        "TTS150",
        "too many errors",
        "After fifty errors the rest of the file is not looked at. It may not be a strategy file.",
    ),
)
