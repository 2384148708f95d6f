"""`tts-serve STRATEGY...`: strategies behind the OpenAI interface."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tts_lang.cli.completion as completion
from tts_lang.arguments import parse_settings, plan_from
from tts_lang.cli.completion import complete
from tts_lang.cli.parser import CommandParser, UsageError, usage_error
from tts_lang.cli.printing import report
from tts_lang.cli.process import MISTAKE
from tts_lang.cli.shared import (
    budget_option,
    check_strategies,
    library_options,
    place_settings,
    settings_option,
    shared,
)
from tts_lang.diagnostics import DiagnosticError
from tts_lang.plan.verify import PlanError
from tts_lang.printable import printable
from tts_runtime.cli.options import engine_names, limit_of, limits_of, with_engine_args
from tts_runtime.cli.parser import engine_options
from tts_runtime.cli.sources import ValueSource, configured, unread_variables
from tts_runtime.runs.defaults import UnnamedError, completed
from tts_runtime.serve.catalogue import split_name

if TYPE_CHECKING:
    from tts_runtime.serve.server import ServeOptions

_NOTES = """
Any client of the OpenAI interface can ask: base URL http://HOST:PORT/v1, model a strategy, with \
values of its parameters as `beam_search@n=16`. What else there is: docs/serve.md.

Examples:
  tts-serve majority beam_search
  tts-serve best_of_n my_fusion.tts \\
      --policy vllm:Qwen/Qwen3-8B \\
      --scorer prm=auto:Qwen/Qwen2.5-Math-PRM-7B \\
      --key-file keys.txt --budget tokens=2e5

Exit codes: 0 stopped, 2 usage or configuration error, 130 interrupted.
"""


def serve_parser() -> CommandParser:
    """The arguments and options of `tts-serve`."""
    command = CommandParser(
        "tts-serve",
        "STRATEGY... [NAME=VALUE...] [OPTION...]",
        "Serve strategies to any client of the OpenAI interface. Without --policy, the bundled "
        "models answer.",
        _NOTES,
        {
            "--policy ENGINE": ("model", "model_name", "llm", "engine"),
            "--max-running N": ("concurrency", "max_num_seqs", "workers"),
            "--key-file FILE": ("api_key", "api_keys", "key", "keys"),
            "--host ADDRESS": ("bind", "address", "listen"),
            "--trace DIR": ("out", "log_dir", "record"),
        },
    )
    group = command.strategies(completion.strategies)
    settings_option(group)
    library_options(group)
    engine_options(command)

    group = command.group("Server")
    group.value("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    group.value("--port", metavar="N", help="port to listen on; 0: any free one (default: 8000)")
    group.value(
        "--key-file",
        metavar="FILE",
        help="only these API keys may ask; a line is KEY name=alice rate=60/min concurrency=8 "
        "tokens=2e6/day (default: everybody may)",
        completer=completion.files(".txt"),
    )
    group.value(
        "--max-running",
        metavar="N",
        help="run requests of at most N candidates in all; the others wait their turn (default: "
        "1024)",
    )
    group.value(
        "--max-waiting",
        metavar="N",
        help="at most N requests wait; any more are told when to come back (default: 4096)",
    )
    group.value(
        "--timeout",
        metavar="SECONDS",
        help="answer within this time, with the best solution so far (default: 600)",
    )
    group.value("--seed", metavar="N", help="seed of requests without one (default: a new one)")
    group.flag(
        "--join-messages",
        help="take conversations and system messages too, as one text (default: refuse them)",
    )
    group.value(
        "--trace",
        metavar="DIR",
        help="write every answer to a run directory below DIR, one per strategy and values",
        completer=completion.folders,
    )
    group.value(
        "--drain",
        metavar="SECONDS",
        help="when stopped, let running requests end for so long (default: 60)",
    )
    budget_option(group)
    group.values(
        "--assume",
        metavar="NAME=N,...",
        help="sizes that bounds and --budget assume: context=N, prompt=N",
        completer=completion.pairs("context", "prompt"),
    )
    group.flag(
        "--strict",
        help="fail a request if one of its candidates has no text or no score, instead of dropping "
        "the candidate",
    )
    group.value(
        "--config",
        metavar="FILE",
        help="read options from a YAML file",
        completer=completion.files(".yaml", ".yml"),
    )

    group = command.group("Output")
    group.flag("-v", "--verbose", help="show each request, and where each setting comes from")
    group.flag("-q", "--quiet", help="print errors only")
    command.common()
    return command


def serve_command(arguments: Sequence[str]) -> int:
    """Runs `tts-serve` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    command = serve_parser()
    complete(command)
    sources: list[ValueSource] = []
    try:
        options = command.parse(arguments)
        if shared(options):
            return 0
        return _serve(command, options, sources)
    except UsageError as error:
        notes = [str(source) for source in sources if source.concerns(str(error))]
        return usage_error(command.prog, error, notes)
    except DiagnosticError as error:
        report(error.diagnostics)
    except (PlanError, UnnamedError) as error:
        _say(error)
    except Exception as error:
        if not isinstance(error, _late_errors()):
            raise
        _say(error)
    return MISTAKE


def _serve(command: CommandParser, options: Namespace, sources: list[ValueSource]) -> int:
    words = options.strategies
    place_settings(options)
    # `beam_search@n=16` is a strategy, not a value.
    options.strategies = [each for each in words if each in options.strategies or "@" in each]
    options.settings = [each for each in options.settings if each not in options.strategies]
    sources += configured(command, options, os.environ)
    if options.quiet and options.verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    check_strategies(command, options)
    for line in [] if options.quiet else unread_variables(command, os.environ):
        print(f"warning: {printable(line)}", file=sys.stderr)
    if options.verbose:
        for source in sources:
            print(printable(f"note: {source}"), file=sys.stderr)
    request = _options(options)
    try:
        from tts_runtime.serve.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tts_"):
            raise
        raise UsageError(
            f"tts-serve needs `{error.name}`, which is not installed: pip install 'tts-lang[serve]'"
        ) from error
    level = logging.ERROR if options.quiet else logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("tts_runtime").setLevel(level)
    asyncio.run(serve(request))
    return 0


def _options(options: Namespace) -> ServeOptions:
    """Reads the options.

    Raises:
        UsageError, DiagnosticError, PlanError, UnnamedError, EngineError, KeyFileError: What is
            wrong, with a message for the user.
    """
    port = limit_of("--port", options.port, least=0)
    running = limit_of("--max-running", options.max_running)
    waiting = limit_of("--max-waiting", options.max_waiting, least=0)
    timeout = limit_of("--timeout", options.timeout)
    drain = limit_of("--drain", options.drain, least=0)
    if port is not None and port > 65_535:
        raise UsageError(f"--port: must be at most 65535, not {port}")
    policies = engine_names("--policy", options.policy, default="policy")
    scorers = engine_names("--scorer", options.scorer)
    settings = parse_settings(options.settings)
    plans = plan_from([split_name(each)[0] for each in options.strategies], settings)
    limits = limits_of(options.budget, options.assume, plans)
    policies.check_used({"policy", *(name for plan in plans for name in plan.policies)})
    scorers.check_used({scorer.name for plan in plans for scorer in plan.scorers})
    named = with_engine_args(policies, scorers, options.engine_arg)
    engines = completed(plans, *named, True)
    try:
        from tts_runtime.serve.keys import Keys, read_keys
        from tts_runtime.serve.server import ServeOptions
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tts_"):
            raise
        raise UsageError(
            f"tts-serve needs `{error.name}`, which is not installed: pip install 'tts-lang[serve]'"
        ) from error
    return ServeOptions(
        options.strategies,
        settings,
        engines,
        limits,
        Keys() if options.key_file is None else read_keys(Path(options.key_file)),
        host=options.host or "127.0.0.1",
        port=8000 if port is None else port,
        running=running or 1024,
        waiting=4096 if waiting is None else waiting,
        seconds=float(timeout or 600),
        drain=60 if drain is None else drain,
        seed=limit_of("--seed", options.seed, least=None),
        joined=options.join_messages,
        strict=options.strict,
        trace=None if options.trace is None else Path(options.trace),
        quiet=options.quiet,
        verbose=options.verbose,
        command=[printable(each) for each in sys.argv],
    )


def _say(error: Exception) -> None:
    sys.stdout.flush()
    print(f"error: {printable(error)}", file=sys.stderr)


def _late_errors() -> tuple[type[Exception], ...]:
    """Mistakes whose modules are loaded late."""
    from tts_runtime.binding import BindingError
    from tts_runtime.engines.base import EngineError
    from tts_runtime.executor import BindError
    from tts_runtime.runs.rundir import RunDirectoryError
    from tts_runtime.serve.catalogue import SetupError
    from tts_runtime.serve.keys import KeyFileError

    return BindError, BindingError, EngineError, RunDirectoryError, SetupError, KeyFileError
