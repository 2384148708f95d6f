"""Problem sets by name: the bundled ones, published ones, and any set of the Hugging Face hub."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tts_lang.diagnostics import suggest
from tts_lang.readers import is_file, is_there
from tts_runtime.engines.errors import EngineError
from tts_runtime.paths import bundled
from tts_runtime.plugins import described, function_named, names_registered, registered
from tts_runtime.problems.model import BadLine, BadRowError, Problem, ProblemFileError
from tts_runtime.problems.rows import FileRow, FileRows
from tts_runtime.problems.values import listed


@dataclass(frozen=True, slots=True)
class HubSet:
    """A data set of the Hugging Face hub: `hf:ID[#CONFIG][:SPLIT]`."""

    id: str
    config: str | None = None
    split: str | None = None

    @property
    def written(self) -> str:
        """The name, in the form of `--problems`."""
        config, split = self.config or "", self.split or ""
        return f"hf:{self.id}" + (f"#{config}" if config else "") + (f":{split}" if split else "")


#: Published sets by the names that papers use.
PUBLISHED: Final = {
    "math500": HubSet("HuggingFaceH4/MATH-500", None, "test"),
    "aime24": HubSet("HuggingFaceH4/aime_2024", None, "train"),
    "aime25": HubSet("MathArena/aime_2025", None, "train"),
    "amc23": HubSet("math-ai/amc23", None, "test"),
    "gsm8k": HubSet("openai/gsm8k", "main", "test"),
    "gpqa-diamond": HubSet("Idavidrein/gpqa", "gpqa_diamond", "train"),
    "olympiadbench": HubSet("Hothan/OlympiadBench", "OE_TO_maths_en_COMP", "train"),
    "humaneval": HubSet("openai/openai_humaneval", None, "test"),
    "mbpp": HubSet("google-research-datasets/mbpp", "sanitized", "test"),
}

_HUB_NAME = re.compile(r"hf:([^#:\s]+)(?:#([^#:\s]+))?(?::([^#:\s]+))?")


def set_named(name: str) -> Path | HubSet | Callable[..., Any]:
    """The source that `--problems` names: a file, a set of the hub, or a function, that of
    `python:MODULE:NAME` or of a set that an installed package registers.

    Raises:
        ProblemFileError: None of these, a function that cannot be loaded, or a bundled set that
            there is none of.
    """
    try:
        return _source(name)
    except EngineError as error:
        raise _error(name, str(error)) from error


def _source(name: str) -> Path | HubSet | Callable[..., Any]:
    if name.startswith("hf:"):
        match = _HUB_NAME.fullmatch(name)
        if match is None:
            raise _error(name, "expected hf:ID, hf:ID:SPLIT or hf:ID#CONFIG:SPLIT")
        return HubSet(*match.groups())
    kind, _, rest = name.partition(":")
    if kind == "arith":
        return bundled_problems(rest or "test")
    if kind == "python":
        return function_named(rest)
    by_plain_name = {_plain(each): published for each, published in PUBLISHED.items()}
    path = Path(name)
    if _plain(name) in by_plain_name and not is_there(path):
        return by_plain_name[_plain(name)]
    if name == "-" or is_file(path):
        return path
    # Last, as it reads what every installed package says of itself.
    function = registered("problem set", name)
    if function is not None:
        return function
    if not name or (not path.suffix and not is_there(path)):
        named = ["arith", *PUBLISHED, *names_registered("problem set")]
        close = suggest(kind, named)
        sets = f"sets are {', '.join(named)}, hf:ID"
        hint = f"did you mean '{close}'?" if close else sets
        raise _error(name, f"neither a file nor a problem set; {hint}")
    return path


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def bundled_problems(split: str = "test") -> Path:
    """The file of a bundled problem set: `test`, `calibration` or `train`.

    Raises ProblemFileError if there is no such split.
    """
    try:
        folder = bundled("problems")
    except FileNotFoundError as error:
        raise _error(f"{split}.jsonl", str(error)) from error
    path = folder / f"{split}.jsonl"
    if not is_file(path):
        splits = sorted(file.stem for file in folder.glob("*.jsonl"))
        close = suggest(split, splits)
        hint = f"did you mean '{close}'?" if close else f"there are: {', '.join(splits) or 'none'}"
        raise _error(f"arith:{split}", f"there is no bundled split {split!r}; {hint}")
    return path


def rows_given(problems: Iterable[object]) -> FileRows:
    """Problems of Python as rows: a `Problem`, a text, a row as a dict, or a chat's messages.

    Raises:
        BadRowError: It is one problem, or none.
    """

    def fields(each: object) -> Mapping[str, Any] | Problem | BadRowError:
        if isinstance(each, Problem):
            return each
        if isinstance(each, str):
            return {"problem": each}
        if isinstance(each, Mapping):
            return dict(each)
        if isinstance(each, list | tuple) and all(isinstance(turn, Mapping) for turn in each):
            return {"messages": [dict(turn) for turn in each]}
        return BadRowError(f"expected a Problem, a text, a dict or messages, found {each!r:.60}")

    rows = enumerate(listed(problems), start=1)
    return FileRows("row", (FileRow(number, fields(each)) for number, each in rows))


def rows_of_function(name: str, function: Callable[..., Any]) -> FileRows:
    """The result of a function without arguments, as `rows_given` reads it.

    Raises:
        ProblemFileError: It fails, or gives no list of problems.
    """
    try:
        result = function()
        if inspect.isawaitable(result) or isinstance(result, AsyncIterable):
            with ThreadPoolExecutor(1) as thread:  # this one may have an event loop that runs
                result = thread.submit(asyncio.run, _awaited(result)).result()
        rows = list(listed(result))
    except BadRowError as error:
        raise _error(name, f"the function's result is wrong: {error}") from error
    except (Exception, SystemExit) as error:
        raise _error(name, described(error)) from error
    return rows_given(rows)


async def _awaited(result: Any) -> Any:
    if inspect.isawaitable(result):
        result = await result
    return [each async for each in result] if isinstance(result, AsyncIterable) else result


def hub_rows(hub: HubSet) -> FileRows:
    """The rows of a set of the hub, or of a folder that `datasets` reads.

    Raises:
        ProblemFileError: It cannot be fetched, or has no such split; how to bring it as a file.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        reason = "sets of the hub need `datasets`: pip install 'tts-lang[data]'"
        raise _error(hub.written, f"{reason}; {_by_hand(hub)}") from error
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # else each retry is a line
    logging.getLogger(__name__).info("fetching %s", hub.written)
    try:
        loaded = datasets.load_dataset(hub.id, hub.config, split=hub.split)
    except Exception as error:  # what datasets and its file systems raise has no common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _error(
            hub.written, f"it cannot be fetched: {reason[:300]}; {_by_hand(hub)}"
        ) from error
    if isinstance(loaded, dict):
        splits = list(loaded)
        chosen = "test" if "test" in splits else splits[0] if len(splits) == 1 else None
        if chosen is None:
            raise _error(hub.written, f"name a split: hf:{hub.id}:SPLIT, of {', '.join(splits)}")
        loaded = loaded[chosen]
    return FileRows("row", _numbered(loaded))


def _numbered(loaded: Any) -> Iterator[FileRow]:
    for number, fields in enumerate(loaded, start=1):
        yield FileRow(number, fields)


def _by_hand(hub: HubSet) -> str:
    return (
        f"fetch it where there is a network (`hf download {hub.id} --repo-type dataset`) and give "
        "its file: `--problems FILE`"
    )


def _error(name: str | Path, reason: str) -> ProblemFileError:
    return ProblemFileError(name, (BadLine(0, reason),))
