"""`tts-show DIR [PROBLEM]`: what a run did, and how one problem was solved."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.cli.process import MISTAKE
from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.units import counted
from tts_lang.printable import printable
from tts_runtime.cli.options import limit_of
from tts_runtime.cli.record_command import read_records
from tts_runtime.record.reader import Run, open_run
from tts_runtime.reliability import Reliability, footer, warnings_of
from tts_runtime.report.tree_text import SHOWN, one_line, tree_lines
from tts_runtime.runs.seeds import in_words
from tts_runtime.stats.paired import compare

if TYPE_CHECKING:
    from tts_runtime.runs.results import Answer

_NOTES = """
Examples:
  tts-show runs/one                    strategies, answers
  tts-show runs/one test-0001          a problem's trees
  tts-show runs/one --compare majority
  tts-show runs/one --verify           check every line

Exit codes: 0 success, 2 usage error, no run there, or damaged lines.
"""


def show_parser() -> CommandParser:
    """The arguments and options of `tts-show`."""
    command = CommandParser(
        "tts-show",
        "DIR [PROBLEM] [OPTION...]",
        "Show a run (tts-run --out): its strategies and answers, or the search tree of one problem "
        "with scores and the winner's whole text.",
        _NOTES,
        {"--strategy NAME": ("method", "name")},
    )
    command.add_argument("directory", metavar="DIR", help=SUPPRESS)
    command.add_argument("problem", metavar="PROBLEM", nargs="?", help=SUPPRESS)
    group = command.group("Options")
    group.value("--strategy", metavar="NAME", help="only this strategy")
    group.value(
        "--seed", metavar="N", help="only this seed (default: all; of one problem, the first)"
    )
    group.values(
        "--compare",
        metavar="NAME",
        help="compare strategies on the same problems: each with the first one named, or all "
        "with the only one",
    )
    group.flag("--all", help="every node, not only the first of many children")
    group.flag("--verify", help="read everything, and name every damaged line")
    command.common()
    return command


def show_command(arguments: Sequence[str]) -> int:
    """Runs `tts-show` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    return read_records(show_parser(), arguments, _show)


def _show(options: Namespace) -> int:
    others = {"PROBLEM": options.problem, "--strategy": options.strategy, "--all": options.all}
    for name, value in others.items():
        if options.compare and value not in (None, False):
            raise UsageError(f"--compare: it is over all problems and names strategies; no {name}")
    if options.all and options.problem is None:
        raise UsageError("--all shows every node of a problem: name the PROBLEM")
    run = open_run(options.directory)
    if options.strategy is not None:
        run.strategy(options.strategy)
    names = list(run.strategies) if options.strategy is None else [options.strategy]
    seed = limit_of("--seed", options.seed, least=None)
    if seed is not None and seed not in run.seeds:
        raise KeyError(f"{run.directory} has {in_words(run.seeds)}, not {seed}")
    try:
        lines: Iterable[str] = ()
        if options.compare:
            _compare(run, options.compare, seed)
        elif options.problem is None:
            lines = _overview(run, names, seed)
        else:
            lines = _problem(run, names, options.problem, seed, None if options.all else SHOWN)
        for line in lines:
            print(printable(line))
    finally:  # a mistake may be that something is left out
        damaged = run.verify() if options.verify else list(dict.fromkeys(run.damaged))
        sys.stdout.flush()
        for damage in damaged:
            print(f"damaged: {printable(damage)}", file=sys.stderr)
    if options.verify and not damaged:
        print("every line agrees with its checksum, and none is missing")
    return MISTAKE if damaged else 0


def _compare(run: Run, names: Sequence[str], seed: int | None) -> None:
    """Comparisons with the first strategy of `names`, of the others, or of all that there are."""
    from tts_runtime.cli.report import print_comparisons

    first, *others = [run.strategy(name).name for name in names]
    pairs = [(name, first) for name in others or run.strategies if name != first]
    if not pairs:
        raise KeyError(f"{run.directory} has no other strategy than {first}")
    answers = {name: run.answers(name, seed) for name in run.strategies}
    ungraded = [n for n in (first, *others) if all(a.correct is None for a in answers[n])]
    if ungraded:
        raise KeyError(f"{ungraded[0]} has no graded answer, so nothing can be compared with it")
    compared = compare(answers, pairs)
    if not any(each.trials for each in compared):
        raise KeyError(f"no other strategy has a graded answer in common with {first}")
    print_comparisons(compared)


def _overview(run: Run, names: Sequence[str], seed: int | None) -> Iterator[str]:
    manifest = run.manifest
    about = manifest.configuration
    engines = "; ".join(f"{name} {each['engine']}" for name, each in manifest.engines.items())
    problems = counted(len(run.problems), "problem")
    yield f"{run.directory}: {problems} of {manifest.problem_set or 'a caller'}"
    yield f"{engines}; {in_words(run.seeds)}; tts-lang {about.get('version')}"
    for name in names:
        answers = run.answers(name, seed)
        failed = sum(answer.error is not None for answer in answers)
        graded = [answer.correct for answer in answers if answer.correct is not None]
        share = f"{sum(graded)} of {len(graded)} right" if graded else "not graded"
        finished = f"{len(answers) - failed} finished"
        parts = [finished, share, *([f"{failed} failed"] if failed else [])]
        yield ""
        yield f"{name}: {', '.join(parts)}"
        faults = sum((answer.reliability for answer in answers), Reliability())
        yield from (f"  {line}" for line in footer(faults))
        yield from (f"  warning: {line}" for line in warnings_of(faults))
        by_problem: dict[str, list[Answer]] = {}
        for answer in answers:
            by_problem.setdefault(answer.id, []).append(answer)
        for problem, problem_answers in by_problem.items():
            id_ = printable(problem, line=True)
            yield f"  {_marks(problem_answers)} {id_}  {_said(problem_answers)}"
    yield ""
    yield f"one problem: tts-show {run.directory} PROBLEM"


def _marks(answers: Sequence[Answer]) -> str:
    """One sign per seed: right, wrong, not graded."""
    return "".join({True: "+", False: "-", None: "?"}[answer.correct] for answer in answers)


def _said(answers: Sequence[Answer]) -> str:
    """The answers to a problem under all seeds, most frequent first; the gold one if any is not."""
    counts = Counter(
        one_line(reply.error or (reply.answer if reply.answer is not None else "no answer"))
        for reply in answers
    )
    shown = ", ".join(f"{text} ({n}x)" if n > 1 else text for text, n in counts.most_common())
    gold = next((each.gold for each in answers if each.gold is not None), None)
    return shown + ("" if all(each.correct for each in answers) else _gold(gold))


def _gold(answer: str | None) -> str:
    return "" if answer is None else f"  (gold: {one_line(answer)})"


def _problem(
    run: Run, names: Sequence[str], problem: str, seed: int | None, most: int | None
) -> Iterator[str]:
    if problem not in run.problems:
        hint = did_you_mean(problem, run.problems)
        hint = hint or f"the first is {next(iter(run.problems), '')!r}"
        raise KeyError(f"no problem {problem!r} in {run.directory}; {hint}")
    about = run.problems[problem]
    yield f"problem {printable(problem, line=True)}{_gold(about.answer)}"
    yield from (f"  {line}" for line in about.text.splitlines())
    for name in names:
        yield ""
        try:
            tree = run.tree(problem, name, seed)
        except KeyError as error:
            yield str(error.args[0])
            continue
        several = len(run.seeds) > 1
        yield from tree_lines(f"{name}, seed {tree.answer.seed}" if several else name, tree, most)
