"""A notebook runs strategies, with a kernel whose event loop is taken, and shows results."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[2]
CELLS = [
    "import tts_lang, tts_runtime\nplan = tts_lang.compile('majority', n=4)\nplan",
    "settings = tts_runtime.Settings(policies={'policy': 'sim'}, out='run')\n"
    "results = tts_runtime.run(plan, ['1 + 1', {'problem': '2 + 2', 'answer': 4}], "
    "settings=settings)\nresults",
    "results[0]",
    "again = await tts_runtime.arun(plan, ['1 + 1'], settings=tts_runtime.Settings("
    "policies={'policy': 'sim'}))\n"
    "assert again[0].answers[0].answer == results[0].answers[0].answer",
    "tts_runtime.open_run('run')",
    "try:\n    tts_runtime.run('majorty', ['1 + 1'])\n"
    "except tts_lang.DiagnosticError as error:\n    print(error)",
    "print([name for name in dir(tts_runtime) if name.startswith('open')])",
    "async with tts_runtime.Session({'policy': 'sim'}) as session:\n"
    "    response = await session.answer(plan, '1 + 1')\nresponse",
]


def test_a_notebook_runs_and_shows_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "runtime")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook: Any = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    asyncio.run(client.async_execute())
    shown = [
        "".join(
            str(output.get("data", {}).get("text/html") or output.get("text", ""))
            for output in cell.outputs
        )
        for cell in notebook.cells
    ]
    assert "<pre>majority(n = 4)" in shown[0]
    assert "<table>" in shown[1]
    assert "majority" in shown[1]
    assert "<td>row-2</td>" in shown[2]
    assert "<td>majority</td><td>2</td>" in shown[4]
    assert "did you mean 'majority'" in shown[5]
    assert "open_run" in shown[6]
    assert "by majority: 3 calls" in shown[7]
