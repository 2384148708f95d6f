"""The options of `tts-run`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping

import tts_lang.cli.completion as completion
from tts_lang.cli.parser import CommandParser, Group
from tts_lang.cli.shared import budget_option, library_options, settings_option

#: Options by the names that other tools have for them.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "--policy ENGINE": ("model", "model_name", "model_path", "llm", "engine", "generator"),
    "--scorer prm=ENGINE": ("prm", "prm_path", "reward_model", "rm", "verifier"),
    "--scorer orm=ENGINE": ("orm",),
    "--engine-arg NAME.KEY=VALUE": ("model_args", "policy_arg", "scorer_arg", "engine_args"),
    "--problems FILE": ("dataset", "dataset_name", "data", "input", "questions", "benchmark"),
    "--ask TEXT": ("prompt", "question", "query"),
    "--out DIR": ("output", "output_dir", "save", "save_dir", "run_dir"),
    "--limit N": ("num_problems", "max_problems", "head"),
    "--concurrency N": ("batch_size", "workers", "num_workers", "parallel", "jobs"),
    "--verbose": ("debug",),
    "--quiet": ("silent", "no_progress"),
}

_NOTES = """
Configuration: every option can also be set by its long name in a YAML file (--config run.yaml) \
and by an environment variable (TTS_LIMIT=10, TTS_SCORER='prm=sim orm=sim'). The command line \
wins over the environment, the environment over the file, the file over the defaults; options of \
the form NAME=VALUE are merged by NAME.

Examples:
  tts-run beam_search majority --limit 20
  tts-run majority --ask "What is 17 x 3?" \\
      --policy ollama/qwen3
  tts-run majority --sweep n=1,2,4,...,64 --out runs/votes
  tts-run best_of_n --policy vllm:Qwen/Qwen3-8B \\
      --engine-arg policy.dtype=bfloat16 \\
      --scorer prm=auto:Qwen/Qwen2.5-Math-PRM-7B \\
      --problems math500 --out runs/math500

Exit codes: 0 success, 2 usage or configuration error, 3 some problems failed, 130 interrupted.
"""

_BUNDLED_SETS = ("arith", "arith:calibration", "arith:train")
_POLICIES = ("bundled", "sim", "transformers:", "vllm:", "openai:", "exec:python", "replay:")


def parser() -> CommandParser:
    """The options of `tts-run`."""
    command = CommandParser(
        "tts-run",
        "STRATEGY... [NAME=VALUE...] [OPTION...]",
        "Run strategies over problems, and compare their accuracy and cost. Without --policy, the "
        "bundled models answer the bundled problems.",
        _NOTES,
        _SYNONYMS,
    )
    group = command.strategies(completion.strategies)
    settings_option(group)
    group.values(
        "--sweep",
        metavar="NAME=VALUE,...",
        help="run strategies at several values of a parameter, which share samples: n=1,2,4, "
        "n=1..16 or n=1,2,4,...,256",
        completer=completion.parameters,
    )
    library_options(group)

    group = command.group("Problems")
    group.value(
        "--problems",
        metavar="SET",
        help="a file (JSONL, JSON, CSV or Parquet; - for standard input), a published set "
        "(math500, aime24, gsm8k...), hf:ID[:SPLIT], or arith, the bundled set",
        completer=_problem_sets,
    )
    group.value("--ask", metavar="TEXT", help="answer this one question instead (- reads it)")
    group.values(
        "--fields",
        metavar="PART=FIELD,...",
        help="fields of the file that hold problem, answer and id: problem=Question,answer=Key",
        completer=completion.pairs("problem", "answer", "id"),
    )
    group.values(
        "--where",
        metavar="FIELD=VALUE",
        help="only problems whose field has this value; also !=, <, <=, > and >=",
    )
    group.values("--ids", metavar="ID,...", help="only these problems, in this order")
    group.value("--shuffle", metavar="SEED", help="shuffle the problems")
    group.value("--offset", metavar="N", help="skip the first N problems")
    group.value("--limit", metavar="N", help="at most N problems")

    group = engine_options(command)
    group.value(
        "--grader",
        metavar="GRADER",
        help="decides whether an answer is correct: math, text, number, choice, none, "
        "exec:python?field=TESTS, python:MODULE:NAME or judge:ENGINE (default: that of the problem "
        "set, else math)",
        completer=completion.fixed(
            "math", "text", "number", "choice", "none", "exec:python", "python:", "judge:"
        ),
    )

    group = command.group("Run")
    group.value(
        "--seed",
        "--seeds",
        metavar="N",
        help="seed of all random streams (default: 0), or several, under each of which every "
        "problem is answered: 0..4 or 0,3,7",
    )
    group.value(
        "-o",
        "--out",
        metavar="DIR",
        help="write a run directory; the same command continues an interrupted run",
        completer=completion.folders,
    )
    group.value(
        "--shard",
        metavar="I/K",
        help="run every K-th problem from the I-th, in a folder of its own below DIR; tts-merge "
        "puts the K shards together",
    )
    group.value(
        "--cluster",
        metavar="ADDRESS",
        help="run on replicas, processes with engines of their own: `ray` (the cluster of "
        "RAY_ADDRESS, or one on this machine) or `ray://HOST:PORT`; `?gpus=1&cpus=4`: what each "
        "reserves",
        completer=completion.fixed("ray", "ray://", "ray?gpus=1"),
    )
    group.value("--replicas", metavar="N", help="with --cluster: N replicas (default: 1)")
    group.values(
        "--keep",
        metavar="WHAT,...",
        help="more of every candidate in the run directory: ids (of its tokens and its prompt), "
        "logprobs (of each token)",
        completer=completion.fixed("ids", "logprobs", "ids,logprobs"),
    )
    group.value(
        "--concurrency",
        metavar="N",
        help="at most N problems in flight (default: enough to keep the engines full)",
    )
    group.value(
        "--speculate",
        metavar="FRACTION",
        help="let likely survivors of a selection run ahead in free slots, wasting at most this "
        "fraction of the tokens; answers do not change (default: 0)",
    )
    group.values(
        "--no-pass",
        metavar="PASS",
        help="leave out a pass of the optimiser or the executor, or `all` of them",
        completer=_passes,
    )
    budget_option(group)
    group.values(
        "--assume",
        metavar="NAME=N,...",
        help="sizes that --budget and --analyze assume: context=N, prompt=N, params=N, "
        "SCORER_params=N",
        completer=completion.pairs("context", "prompt", "params"),
    )
    group.flag(
        "--strict",
        help="fail a problem if one of its candidates has no text or no score, instead of dropping "
        "and counting the candidate",
    )
    group.value(
        "--config",
        metavar="FILE",
        help="read options from a YAML file",
        completer=completion.files(".yaml", ".yml"),
    )

    group = command.group("Output")
    group.flag("--json", help="print one JSON object per strategy instead of the table")
    group.flag("--analyze", help="show what each operation did next to what was expected")
    group.flag("-v", "--verbose", help="show where each setting comes from, and debug messages")
    group.flag("-q", "--quiet", help="print results and errors only")
    command.common()
    return command


def engine_options(command: CommandParser) -> Group:
    """`--policy`, `--scorer` and `--engine-arg`, under their heading."""
    group = command.group("Engines")
    group.values(
        "--policy",
        metavar="[NAME=]ENGINE",
        help="engine of a policy (NAME defaults to `policy`): bundled (the default), sim, "
        "transformers:MODEL, vllm:MODEL, SERVER/MODEL (openai, ollama...), openai:URL#MODEL, "
        "replay:PATH (recorded samples) or a model's folder; docs/engines.md lists all",
        completer=_policies,
    )
    group.values(
        "--scorer",
        metavar="NAME=ENGINE",
        help="engine of a scorer: bundled (the default for `prm` with the bundled policy), sim, "
        "field:NAME, auto:MODEL, http:URL#MODEL or a model's folder; docs/engines.md lists all",
        completer=_scorers,
    )
    group.values(
        "--engine-arg",
        metavar="[NAME.]KEY=VALUE",
        help="option of the engine of policy or scorer NAME, such as policy.dtype=bfloat16; NAME "
        "may be omitted if one engine is named",
        completer=_engine_args,
    )
    return group


def _problem_sets(prefix: str, _options: Namespace) -> Iterable[str]:
    from tts_runtime.problems.sets import PUBLISHED

    files = completion.paths(prefix, ())
    return [*_BUNDLED_SETS, *PUBLISHED, "hf:", *files]


def _policies(prefix: str, options: Namespace) -> Iterable[str]:
    from tts_runtime.engines.options import SERVERS

    engines = [*_POLICIES, *(f"{server}/" for server in SERVERS)]
    name, equals, _ = prefix.partition("=")
    if equals:
        return [f"{name}={engine}" for engine in engines]
    named = [f"{policy}=" for policy in completion.policies(options)]
    return [*engines, *named, *completion.paths(prefix, ("/",))]


def _scorers(prefix: str, options: Namespace) -> Iterable[str]:
    from tts_runtime.engines.registry import FAMILIES

    name, equals, _ = prefix.partition("=")
    if not equals:
        return [f"{scorer}=" for scorer in completion.scorers(options)]
    engines = ("bundled", "sim", "field:", "http:", *(f"{family}:" for family in FAMILIES))
    return [f"{name}={engine}" for engine in engines]


def _engine_args(prefix: str, options: Namespace) -> Iterable[str]:
    """The name of an engine and a dot; its options are in docs/engines.md."""
    if "." in prefix:
        return ()
    names = {"policy", *completion.policies(options), *completion.scorers(options)}
    return [f"{name}." for name in sorted(names)]


def _passes(_prefix: str, _options: Namespace) -> Iterable[str]:
    from tts_lang.optimise import ALL, NAMES
    from tts_runtime.executor import PASSES

    return [*NAMES, *PASSES, ALL]
