"""Texts that candidates add to others', made all at once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.steps import NOTHING, StepSplit, added_texts, counts

PIECES = ["so ", "a\n\n", "\n\nb", "\n\n", "c", "ü\n\n", "\0\n\n", "x\n\ny\n\n"]
#: Of a character that several tokens write, and none.
PARTS = [piece.encode() for piece in PIECES] + [b"\xc3", b"\xbc", b"\xff\n\n", b"\xe2\x80"]


def data_of(split: StepSplit) -> bytes:
    return b"\n\n".join((*split.closed, split.tail))


@given(st.data())
@settings(deadline=None)
def test_texts_are_what_is_added_to_those_before(data: st.DataObject) -> None:
    parts = data.draw(st.sampled_from([PIECES[:2], PIECES[:-3], None]))
    pieces = st.sampled_from(PARTS if parts is None else [part.encode() for part in parts])
    splits = [NOTHING]
    for _ in range(data.draw(st.integers(1, 40))):
        split = data.draw(st.sampled_from(splits[-3:]))
        for piece in data.draw(st.lists(pieces, max_size=3)):
            split = split.add(piece, b"\n\n")
        splits.append(split)
    before = [
        data.draw(st.sampled_from([None, *splits[max(0, at - 3) :]])) for at in range(len(splits))
    ]
    for split, known, text in zip(
        splits, before, added_texts(splits, before, b"\n\n"), strict=True
    ):
        whole = data_of(split)
        start = None if known is None else data_of(known)
        if start is None or not whole.startswith(start):
            assert text is None
            continue
        added = whole[len(start) :]
        try:
            assert text == added.decode()
        except UnicodeDecodeError:
            assert text in (None, added.decode("utf-8", "replace"))
            assert text is None or start.decode("utf-8", "replace") + text == whole.decode(
                "utf-8", "replace"
            )
    assert counts(splits) == [len(split.texts) for split in splits]
