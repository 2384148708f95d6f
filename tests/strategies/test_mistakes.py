"""What one gets wrong when changing a shipped file is said clearly, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tts_lang import library
from tts_lang.compiler import check_path
from tts_lang.diagnostics import render_text

#: (file, what stands there, what is written instead, what has to be said).
EDITS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "beam_search",
        "n / width of beams by last(prm)",
        "n / width of beams by last(prn)",
        ("beam_search.tts:11:55: error[TTS201]", "nothing is called `prn`", "did you mean 'prm'?"),
    ),
    (
        "dvts",
        "per root",
        "per tree",
        ("dvts.tts:14:59: error[TTS201]", "nothing is called `tree`", "did you mean 'trees'?"),
    ),
    (
        "dvts",
        "    score trees by prm\n",
        "",
        ("dvts.tts:16:34: error[TTS208]", "`trees` is not scored by `prm`", "score trees by prm"),
    ),
    (
        "weighted_best_of_n",
        "score pool by prm",
        "score pool by verifier",
        ("error[TTS201]: there is no scorer called `verifier`", "`scorer verifier`"),
    ),
    (
        "beam_search",
        "        beams = expand beams by width steps\n",
        "",
        ("beam_search.tts:10:28: warning[TTS903]: no round draws a token", "expand beams by 4"),
    ),
    (
        "beam_search",
        "beams by width steps",
        "beams by width",
        ("beam_search.tts:12:33: warning[TTS903]: whole solutions are done after one round",),
    ),
    (
        "majority",
        "law majority(n = 1)",
        "strategy majority():\n    return sample 1\n\nlaw majority(n = 1)",
        ("error[TTS203]: `majority` is declared twice: it is a strategy since line 3",),
    ),
    (
        "beam_search",
        "== best_of_n(n)",
        "== best_of_n(width = n)",
        ("beam_search.tts:18:44: error[TTS403]: `best_of_n` has no parameter `width`", "`reduce`"),
    ),
    (
        "beam_search",
        "== best_of_n(n)",
        "== majority(n)",
        ("error[TTS201]: there is no strategy called `majority`", '`import "majority.tts"`'),
    ),
    (
        "majority",
        'import "chain_of_thought.tts"',
        'import "chain_of_thought.tts"\nimport "other.tts"',
        (
            "other.tts:1:8: error[TTS552]: files import each other in a circle",
            "majority.tts -> other.tts -> majority.tts",
        ),
    ),
    (
        "best_of_n",
        'import "chain_of_thought.tts"',
        'import "chain_of_thought.tts"\nimport "twin.tts"',
        ('best_of_n.tts:2:8: error[TTS202]: "twin.tts" declares `best_of_n`', "rename one of them"),
    ),
)


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    EDITS,
    ids=[
        f"{name}-{said[0].partition('[')[2][:6]}-{i}" for i, (name, _, _, said) in enumerate(EDITS)
    ],
)
def test_a_mistake_in_a_shipped_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    right: str,
    wrong: str,
    said: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.tts").write_text('import "majority.tts"\n', encoding="utf-8")
    Path("twin.tts").write_text("strategy best_of_n():\n    return sample 1\n", encoding="utf-8")
    source = library.find(name).read_text(encoding="utf-8")
    assert right in source
    path = Path(f"{name}.tts")
    path.write_text(source.replace(right, wrong), encoding="utf-8")
    text = render_text(check_path(path).diagnostics)
    for part in said:
        assert part in text, text
