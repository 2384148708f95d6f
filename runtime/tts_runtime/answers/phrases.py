r"""Answers without a marker: what a phrase introduces, a letter, or the last mathematics.

`The final answer is $[2,5)$.`, `**Answer:** 1/2`, `Final Answer: The largest $n$ is 34.`; without
such a phrase the letter of a choice with which a text begins (`B`, `(B) 12`, `Option B is
correct`), else the last formula or number, as a whole: of `$\frac{3}{8}$` never the 8. Two formulas
or numbers joined by "and" are one answer.
"""

import re

from tts_runtime.answers.choice import (
    concluded_choice,
    leading_choice,
    read_choice,
    stated_choice,
)
from tts_runtime.answers.numbers import date_of
from tts_runtime.answers.remarks import REMARK, emphasised, without_farewell

# Longer texts are searched at their end only, where the answer stands.
MAXIMUM_TAIL = 4000
MAXIMUM_PHRASE_TAIL = 20_000
MAXIMUM_PHRASES = 8
MAXIMUM_WORDS = 10
MAXIMUM_SENTENCE = 1200

# The first item of a list: "- 12" in a line of its own is 12 ("-12" is a number); "1. 12" is the
# first of several, or else the end of a sentence.
_FIRST = r"\n[ \t>]*(?:[-–•]|1[.)])[ \t]"
_ITEM = r"\n[ \t>]*(?:[-–•]|1[.)](?=[^\n]*\n\s*2[.)]\s))[ \t]+"
_MARKUP = rf"(?:{_ITEM}|[\s*#_`>\"“”]|\\(?=\"))*"
# The first characters of all of them: with these, most of a text is passed over at once.
_STARTS = r"(?=[acfjrACFJR][aeinoéAEINOÉ]|[#<\[\"'选選답정答最正оОउউا]|^[ \t>*_])"
_PHRASE = re.compile(
    _STARTS + r"(?i:(?:\b|(?<=__))(?:final |correct |right )?answers?(?:\b|(?=__))[*_`]*"
    r"(?: to (?:the|this|your|part) [^.\n:]{1,80}?| here)?\s*"
    r"(?:[:：]|(?:is|are|=|(?:would|must|should|will|seems to|appears to|has to) be)(?![A-Za-z]))"
    r"|\bcorrect (?:option|choice|statement|alternative)s?[*_`]*\s*(?:is|are|:)(?![A-Za-z])"
    # At the beginning of a line: "Final answer - B", "Answer → 12", "Ans. B".
    r"|(?:^|(?<=[*_#>])|(?<=[#>] ))(?:(?:final |correct )?answer[*_`]*[ ]*(?:[-–—][ ]|[-=]>|[→⇒])"
    r"|ans[*_`]*[ ]*(?:[.:]|[-–—][ ]))"
    # In a line of its own.
    r"|\bfinal answer[*_`]*[ ]*(?=\n)|(?P<heading>^[ \t>]*[#*_]+[ \t]*answer[*_`]*[ ]*(?=\n))"
    # GSM8K's line; "#### 2. Verification" and "#### 2nd step" are headings.
    r"|####\s*(?=[-+]?[$\\]?[0-9])(?![0-9]+(?:[.:)][ \t]+\S|(?:st|nd|rd|th)\b))"
    r"|[选選](?:[项項]|[择擇])?\s*(?:[是为為:：]\s*)?"
    r"(?=[(（]?[A-J][)）]?(?:(?!\w)|\s*(?:因|是?正[确確]|是?[对對]|[选選]?[项項])))"
    r"|答案[*_】]*\s*(?:[应應][该該]?|就)?(?:[是为為:：]+|等[于於])|答案】|最[终終][结結]果[是为為:：]+"
    r"|(?<![解回作问問])(?:答え?|正解)\s*(?:は|[:：])|(?<![가-힣])(?:정답|답)\s*(?:은|[:：])"
    r"|\b(?:antwort|resposta|respuesta|réponse|risposta|ответ|antwoord|cevap|jawab(?:an)?|jibu"
    r"|उत्तर|উত্তর|الإجابة|الجواب)(?!\w)[*_`]*(?:\s+(?:corr\w{2,5}|finale?|الصحيحة|الصحيح|النهائية))?"
    r"\s*(?:(?:ist|lautet|est|es|é|è|is|adalah|ni|هي|هو)(?!\w)|[:：])"
    r"|<(?:final[_ -]?)?answer>(?=\s*+[^\n]{1,100}?\s{0,4}</(?:final[_ -]?)?answer>)"
    r"|\[answer\](?=\s*+[^\n]{1,100}?\s{0,4}\[/answer\])"
    # Of a JSON object, or of Python's.
    r"|(?P<quote>[\"'])(?:(?:final|correct|best|my|your)[_ ]?)?answer"
    r"(?:[_ ](?:choice|letter|option|value))?(?P=quote)\s*:\s*(?!null\b|None\b)"
    r"(?P<json>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|\[[^\[\]\n]*\]|[-+.\w]+)"
    r"(?=\s*[,}]|\n)"
    r")" + _MARKUP + r":?" + _MARKUP,
    re.MULTILINE,
)
# The last line of many programs, and of steps.
_RESULT = re.compile(
    rf"^[ \t>#*_]*(?:final[ ])?result[*_]*[ ]*[:：]{_MARKUP}", re.IGNORECASE | re.MULTILINE
)
# A factorial ends no sentence that continues: "5! ways", "10!/(3! 7!)".
_FACTORIAL = r"(?<=[0-9)])!(?=[ ]+(?:[-a-z=+*/×·(]|[0-9]+!))"
_END = re.compile(
    rf"\.(?=\s|$|\*)|[\n\r。！？]|．(?!\d)|(?i:</(?:final[_ -]?)?answer>|\[/answer\])|\?(?=\s|$)"
    rf"|(?!{_FACTORIAL})!(?=\s|$)"
)
# How sure the text is, not what it answers: "Confidence in answer: 90%".
_SURE = re.compile(
    r"\b(?:confidence|certainty)\b[^.,:\n]{0,30}\b(?:in|of|about)\b[^.,:\n]{0,20}$", re.IGNORECASE
)
# What is only supposed: "If the answer is 5, then ...", "whether the correct answer is B"; or taken
# back: "My previous answer is 5".
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|suppose|supposing|assume|assuming)"
    r"(?:\s+(?:that|the|this|our|your|my|his|her|their|its|an?|only|one|actual|true))*\s+$"
    r"|\b(?:previous|earlier|initial|former|old|wrong|incorrect|tempting)[ \t]+$",
    re.IGNORECASE,
)
_WOULD = re.compile(r"\bwould\b", re.IGNORECASE)
_IF = re.compile(r"((?:[^.\n]|\.(?=\d)){1,80}?)(?<!,)\s(?:if|unless|had)\s")
# Signs in words: "negative $3$", "is minus 3"; "5 minus 3" and "the total minus 3" are differences.
_SIGN_WORD = re.compile(
    r"(?P<before>(?:^|[:：=(,*_]|\b(?:is|are|was|were|be|becomes|equals?|to|of|or|and|at|by|from|than"
    r"|gives?|gets?|have|has|yields?|about|roughly|approximately|exactly))[\s*_]{0,8})?"
    r"(?<![-\w])(?:negative|(?(before)minus|(?!)))\s+(?P<opening>\$|\\\()?"
    r"(?=\.?[0-9]|(?(opening)\\[dt]?frac))",
    re.IGNORECASE | re.MULTILINE,
)
# "That's 12!" ends a sentence; "There are 5! ways" has a factorial.
_EXCLAIMED = re.compile(r"[-+$€£]{0,2}[0-9][0-9,.]*%?!+")
_SENTENCE_BEGINS = re.compile(r"[*_`\"”’)]*(?:\s+(?:[^a-z\s=+*/×·(0-9-]|$)|$)")
# The answer's sentence continues with what is no part of it.
_CONTINUATION = re.compile(
    r",\s+(?!and\b|or\b)(?=[A-Za-z]{2})|，(?=[^\W\d_])"
    r"|\s+\(?(?:because|since|so|as|which|where|when|in total|altogether|therefore|after|out of"
    r"|instead of|rather than|to the nearest|rounded|weil|porque|pois|parce que|perché)\b"
    # "p and not q" and "(p or q) and not r" are formulas; "5 m and not 6 m" is none.
    r"|\s+\((?:not|confidence|certainty|rounded)\b|\s+\([0-9.]+\s?\\?% (?:confiden|sure|certain)"
    r"|(?<!(?<![0-9] )\b[A-Za-z])(?<! [A-Za-z]\))\s+and\s+not\b"
    r"|\s+and\s+(?:he|she|it|they|we|I|the|there|this|that)\b"
)
# Behind this the answer may begin: what only comments on the words before it is none.
_TURN = re.compile(
    r",\s+(?!\s|(?:because|since|as|with|which|where|who|while|although|though)\b)|，"
)
_VERDICT = re.compile(
    r"(?:yes|no|true|false)(?=[,;:]|\s*$|\s+(?:because|since|as)\b)", re.IGNORECASE
)
# A quotation mark that the words before it opened.
_CLOSING = re.compile(r"(\.?)\\?[\"”]")
_ADVERB = re.compile(
    r"(?:(?:therefore|thus|hence|then|simply|just|clearly|indeed|given by|equal to|exactly|still|"
    r"(?:i|we) (?:think|believe|guess)(?: that)?|"
    r"(?:(?:the|la|a|die) )?(?:option|choice|letter|opción|opção|alternativa|réponse|letra|lettre"
    r"|lettera|buchstabe)|(?:la|el|le|il|die|o)(?= [(*]*[A-J](?![\w'’]))|"
    r"it(?:['’]s| is)(?! not)|obviously|found to be|(?:most )?likely|probably)[,:]?\s+)+",
    re.IGNORECASE,
)
# "not A but B"
_NOT = re.compile(
    r"(?:not|neither)\b[^.,;]{1,60}?,?\s+but\s+(?:rather\s+|instead\s+)?", re.IGNORECASE
)
# "A: 3 + 4 = 7" answers a "Q:".
_REPLY = re.compile(r"[\s*]*A[*]*:")
_SPAN = re.compile(
    r"\$\$(?P<dollars>[^$]{1,1000}?)\$\$"
    r"|\\\[(?P<display>.{1,1000}?)\\\]"
    r"|\\\((?P<inline>.{1,500}?)\\\)"
    # A dollar sign opens a formula, or says what money a number is.
    r"|(?<![\\$])\$(?P<tight>(?![\s$])(?:[^$\n\\]|\\.){0,400}?(?<!\s))\$(?![0-9])"
    r"|(?<![\\$])\$(?P<half>[-+0-9(][^$\nA-Za-z\\]{0,40}(?<![-+*/=<>,(\s])\s)\$(?![0-9])"
    r"|(?<![\\$])\$(?P<loose>\s(?:[^$\\]|\\.){1,400}?\s)\$(?![0-9])",
    re.DOTALL,
)
_PROSE = re.compile(r"(?<![\\A-Za-z{])[a-z]{2,}\s+[a-z]{2,}")
_TEXT = re.compile(r"\\(?:text|mathrm|mbox)[a-z]*\s*\{[^{}]*\}")
_CONNECTIVE = re.compile(r"\s*(?:,|;|、|,?\s*(?:and|or|和|或))\s*")
# To the next item of a list, if that is nothing but a formula.
_NEXT_ITEM = re.compile(
    r"\.?[ \t]*\n\s*(?:[-–•*]|[0-9]{1,2}[.)])[ \t]+(?=[$\\][^\n]*[$)\]]\.?[ \t]*(?:\n|$))"
)
_IS = re.compile(r"\s(?:is|are|equals|be|=)\s+(?:equal to\s+|exactly\s+)?")
# Tags, and the calculations that GSM8K's solutions note: "9 * 2 = <<9*2=18>>18".
_TAG = re.compile(r"</?[A-Za-z][\w-]*>|<<[^<>=\n]{1,100}=[^<>\n]{1,100}>>")
_CJK = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff0c\uff1b]+")
# What surrounds the lines of one formula.
_LINES = re.compile(
    r"\\(?:begin|end)\{(?:align|aligned|alignat|equation|gather|gathered|multline|split|flalign)"
    r"\*?\}"
)

# Those of a matrix stay.
_ENDS_OF_LINES = re.compile(r"(?:&|\\\\)(?!(?:(?!\\begin)[^$]){0,300}\\end)")

_TOKEN = re.compile(r"\S+")
_OPERATOR = re.compile(
    r"(?:[-+−–*/×·÷<>≤≥≈=^:±]|\\(?:cdot|times|div|pm|le|ge|approx)(?![A-Za-z]))+"
)
_EQUALS = re.compile(r"[=≈]|\\approx(?![A-Za-z])")
_SEVERAL = re.compile(r"[<>≤≥]|,(?![0-9]{3})|(?:or|and)(?![a-z])")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FUNCTION = re.compile(r"(?:sqrt|log|ln|sin|cos|tan|exp|pi)(?![A-Za-z])")
_LETTER = re.compile(r"[(\[]?[A-Za-z][)\],]?")
_BULLET = re.compile(r"(?<=\n)([ \t>]*)[-–](?=[ \t])")
# "3 1/2" is one number, and so is "5:30 PM".
_MIXED = re.compile(r"[0-9]{1,3} (?P<part>[0-9]{1,3})/(?P<whole>[0-9]{1,3})")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2} [AaPp]\.?[Mm]")
_VALUE = re.compile(r"\d|\\[A-Za-z]|[π∞√∅]")
_EDGE = "*_`\"“”'"


def phrase_answer(text: str, after: int = -1, ended: bool = True) -> str | None:
    """The answer after the last phrase that announces one, None without one.

    `after`: where a marker stands; a phrase behind it counts only if a value or a choice follows,
    for "the answer is correct" takes nothing back. `ended`: whether nothing can follow the text;
    otherwise the phrase's sentence must be complete.
    """
    text = _signed(text)
    begin = max(0, len(text) - MAXIMUM_PHRASE_TAIL)
    for phrase in list(_PHRASE.finditer(text, begin))[: -MAXIMUM_PHRASES - 1 : -1]:
        if phrase.start() < after:
            return None
        place = max(0, phrase.start() - 80), phrase.start()
        if _SURE.search(text, *place) or _SUPPOSED.search(text, *place):
            continue
        if phrase["json"]:
            answer = _of_json(phrase["json"])
            if answer and (after < 0 or _counts(answer)):
                return answer
            continue
        rest = text[phrase.end() : phrase.end() + MAXIMUM_SENTENCE]
        if phrase["heading"] and not _is_alone(rest):
            continue  # of a solution
        if '"' in phrase[0] or "“" in phrase[0]:
            rest = _CLOSING.sub(r"\1", rest, count=1)
        supposed = _IF.match(rest) if _WOULD.search(phrase[0]) else None
        if supposed is not None:
            if _goes_on(rest):
                continue
            rest = supposed[1]
        answer, complete = _introduced(rest, re.search(_FIRST, phrase[0]) is not None)
        if not answer or not (ended or complete) or _goes_on(rest, "?"):
            continue
        if after < 0 or _counts(answer):
            return answer
    return None


def _signed(text: str) -> str:
    """The text with signs that are words as signs, everything else in its place."""

    def sign(match: re.Match[str]) -> str:
        before = match["before"] or ""
        return before + f"{match['opening'] or ''}-".rjust(len(match[0]) - len(before))

    return _SIGN_WORD.sub(sign, text)


def _goes_on(rest: str, sign: str = "") -> bool:
    """Whether a text continues after a sentence, or only one that ends so: `5? No, ...`."""
    end = _END.search(rest)
    return end is not None and sign in end[0] and bool(rest[end.end() :].strip())


def _is_alone(text: str) -> bool:
    """Whether a text begins with a choice, or with one line that is no sentence of a solution."""
    line, _, below = text.partition("\n")
    if stated_choice(line) is not None:
        return True
    return not below.partition("\n")[0].strip() and not _PROSE.search(_TEXT.sub("", line))


def _counts(answer: str) -> bool:
    """Whether an answer is more than a remark: a value or a choice."""
    return _VALUE.search(answer) is not None or read_choice(answer) is not None


def _of_json(value: str) -> str | None:
    """The answer that a value is: of a text its content, without what is said around it."""
    if value[0] not in "\"'[":
        return value
    content = re.sub(r"\\([\"'\\/])", r"\1", value[1:-1]).strip()
    if value[0] == "[":
        content = re.sub(r"([\"'])([^\"',]*)\1", r"\2", content)
    elif re.search(r"[A-Za-z]{2,}\s+[a-z]{2,}", content):
        return phrase_answer(content) or last_answer(content) or content
    return content


def last_answer(text: str) -> str | None:
    """The choice with which a text ends or begins, its result, else its last formula or number."""
    text = without_farewell(_signed(text))
    choice = concluded_choice(text)
    if choice is not None:
        return choice
    results = list(_RESULT.finditer(text, max(0, len(text) - MAXIMUM_PHRASE_TAIL)))
    if len(results) == 1:  # several are of steps
        result, _ = _introduced(text[results[0].end() :][:MAXIMUM_SENTENCE], False)
        if result and _counts(result):
            return result
    choice = leading_choice(text)
    if choice is None or _REPLY.match(text):
        return last_mathematics(text) or choice
    return choice


def last_mathematics(text: str) -> str | None:
    """The last formula or number of a text, None if it has none."""
    if len(text) > MAXIMUM_TAIL:
        cut = re.compile(r"\s").search(text, len(text) - MAXIMUM_TAIL)
        if cut is None:
            return None
        text = text[cut.end() :]
    items = _items(REMARK.sub(_blank, text)) or _items(text)
    while len(items) > 1 and (_is_name(items[-1][2]) or items[-1][2].startswith(("^", "_"))):
        # "..., where $n$ is their number": not what was asked for; of "5 cm$^2$" no more is.
        begin, end, content = items.pop()
        start, before, base = items[-1]
        if before == begin and content.startswith("^"):  # "10$^6$"
            items[-1] = (start, end, base + content)
            break
    if not items:
        return None
    bold = emphasised(text, items[-1][0])
    if bold is not None and _VALUE.search(bold):
        return last_mathematics(bold)
    return _with_joined(text, items)


def _introduced(rest: str, listed: bool) -> tuple[str | None, bool]:
    """The answer at the beginning of a text, and whether something ends it there.

    `listed`: whether it is the first item of a list.
    """
    span = _SPAN.match(rest)
    if span is not None and not _is_prose(_content(span)):
        joined = [_content(span)]
        while True:
            connective = _CONNECTIVE.match(rest, span.end())
            if listed and connective is None:
                connective = _NEXT_ITEM.match(rest, span.end())
            following = _SPAN.match(rest, connective.end()) if connective else None
            if following is None:
                break
            joined.append(_content(following))
            span = following
        return ", ".join(joined).strip() or None, span.end() < len(rest)
    end = _END.search(rest)
    sentence = rest[: end.start() if end else len(rest)].strip(" *_`:")
    return _from_sentence(sentence), end is not None and bool(end[0])


def _from_sentence(sentence: str) -> str | None:
    sentence = _ADVERB.sub("", sentence, count=1) if _ADVERB.match(sentence) else sentence
    sentence = _NOT.sub("", sentence, count=1) if _NOT.match(sentence) else sentence
    choice = stated_choice(sentence)
    if choice is not None:
        return choice
    verdict = _VERDICT.match(sentence)
    if verdict is not None:
        return verdict[0]
    cut = _CONTINUATION.search(sentence)
    head = (sentence[: cut.start()] if cut else sentence).strip()
    turn = _TURN.match(sentence, cut.start()) if cut else None
    if turn and not _VALUE.search(head) and "$" not in head:
        head = sentence  # "Together, they have 260 sheep"
    if not head or head.lower().startswith("not "):
        return None
    start = _TOKEN.match(head)
    begins_with_word = start is not None and _is_word(start[0])
    if date_of(sentence) is not None:
        return sentence
    if begins_with_word and (_VALUE.search(head) or "$" in head):
        last = list(_IS.finditer(head))
        if last:
            return _from_sentence(head[last[-1].end() :])
        return last_mathematics(head)
    spans = [match for match in _SPAN.finditer(head) if not _is_prose(_content(match))]
    if spans:
        return last_mathematics(head)
    return head if len(head.split()) <= MAXIMUM_WORDS else None


def _content(span: re.Match[str]) -> str:
    content = (span[span.lastgroup] if span.lastgroup else "").strip()
    lines = _LINES.sub("", content).split("\\\\")
    if len(lines) > 1 and all(line.lstrip(" \n&").startswith("=") for line in lines[1:]):
        return " ".join(" ".join(lines).replace("&", " ").split())  # of one chain
    return content


def _is_prose(content: str) -> bool:
    """Whether two dollar signs were money: there is running text between them."""
    return _PROSE.search(_TEXT.sub("", content)) is not None or not content


Item = tuple[int, int, str]


def _items(text: str) -> list[Item]:
    """Formulas in delimiters and runs of plain mathematics, in order: start, end, content."""
    items: list[Item] = []
    position = 0
    for span in _SPAN.finditer(text):
        content = _content(span)
        if _is_prose(content) or span.start() < position:
            continue
        items += _runs(text, position, span.start())
        items.append((span.start(), span.end(), content))
        position = span.end()
    return items + _runs(text, position, len(text))


def _runs(text: str, begin: int, end: int) -> list[Item]:
    """Maximal runs of plain mathematics: `3 + 4 = 7`, `(3, -4)`, `45%`, `x = 1`."""
    piece = _BULLET.sub(r"\1•", text[begin:end])
    if _LINES.search(piece):
        piece = _ENDS_OF_LINES.sub(_blank, _LINES.sub(_blank, piece))
    for separator in (_CJK, _TAG):
        piece = separator.sub(_blank, piece)
    runs: list[Item] = []
    current: list[re.Match[str]] = []

    def close() -> None:
        while current and (_OPERATOR.fullmatch(current[-1][0]) or _is_lone(current[-1][0])):
            current.pop()
        while (
            current
            and _is_lone(current[0][0])
            and not (len(current) > 1 and _OPERATOR.match(current[1][0]))
        ):
            current.pop(0)
        if any(_VALUE.search(token[0]) for token in current):
            start, stop = current[0].start(), current[-1].end()
            content = _trimmed(piece[start:stop])
            run = piece[start:stop].strip(_EDGE)
            if _EXCLAIMED.fullmatch(run) and piece[:start].strip():
                ends = _SENTENCE_BEGINS.match(piece, stop)
                content = content.rstrip("!") if ends else content
            if content:
                runs.append((begin + start, begin + stop, content))
        current.clear()

    for token in _TOKEN.finditer(piece):
        word = token[0].strip(_EDGE)
        operator = _OPERATOR.fullmatch(word) is not None
        last = current[-1][0].strip(_EDGE) if current else ""
        # All of a matrix: `\begin{pmatrix} 1 & 2 \end{pmatrix}`.
        inside = last and piece.count("matrix}", current[0].start(), current[-1].end()) % 2
        if inside or (last and _is_rest(last, word)):
            current.append(token)
            continue
        if not operator and (not word or _is_word(word)):
            close()
            continue
        if current:
            ends = last[-1:] in ".;!?" or (last[-1:] == ":" and len(last) > 1)
            group = re.fullmatch(r"[0-9]{3}[.,;!?]?", word) and re.search(
                r"(?<![0-9])[0-9]{1,3}$", last
            )
            goes_on = operator or _OPERATOR.fullmatch(last) or last[-1:] == "," or group
            if ends or not (goes_on or _is_open(piece[current[0].start() : current[-1].end()])):
                close()
        current.append(token)
    close()
    return runs


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _is_rest(last: str, word: str) -> bool:
    """Whether two tokens are one number: a whole and a fraction, or a time of the day."""
    both = f"{last} {word.rstrip('.,;:!?')}"
    mixed = _MIXED.fullmatch(both)
    if mixed is None:
        return _TIME.fullmatch(both) is not None
    return 0 < int(mixed["part"]) < int(mixed["whole"])


def _is_word(token: str) -> bool:
    bare = token.lstrip("([{$\"'*")
    if _FUNCTION.match(bare):
        return False
    return _WORD.match(bare) is not None or not (_VALUE.search(bare) or _LETTER.fullmatch(token))


def _is_lone(token: str) -> bool:
    return _LETTER.fullmatch(token.strip(_EDGE + ".,;:")) is not None


def _is_open(run: str) -> bool:
    return sum(map(run.count, "([{")) > sum(map(run.count, ")]}"))


def _trimmed(run: str) -> str:
    run = (
        run.strip(_EDGE + " ").rstrip(".,;:!?").strip(_EDGE + " ") if not run.endswith("!") else run
    )
    equals = list(_EQUALS.finditer(run))
    if equals and not _SEVERAL.search(run):
        run = run[equals[-1].end() :]
    # A bracket of the sentence around it; "[2, 5)" is whole.
    surplus = sum(map(run.count, "([{")) - sum(map(run.count, ")]}"))
    if surplus < 0 and run[-1:] in ")]}":
        run = run[:-1].rstrip(".,;")
    if surplus > 0 and run[:1] in "([{":
        run = run[1:]
    return run.strip().removeprefix("$").strip()


def _is_name(content: str) -> bool:
    return re.fullmatch(r"\\?[A-Za-z]+(?:_\{?\w+\}?)?|[A-Z]{1,4}", content.strip()) is not None


def _with_joined(text: str, items: list[Item]) -> str:
    start, _, content = items[-1]
    joined = [content]
    for earlier_start, earlier_end, earlier in reversed(items[:-1]):
        if _CONNECTIVE.fullmatch(text, earlier_end, start) is None:
            break
        joined.insert(0, earlier)
        start = earlier_start
    return ", ".join(joined)
