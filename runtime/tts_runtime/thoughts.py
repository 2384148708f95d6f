"""Splits the text of a path into the policy's thought and its reply."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tts_runtime.binding import Binding

#: Tags of thoughts that models write without being asked to.
THOUGHT_TAGS: Final = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
)


def behind_thoughts(text: str, end: str | None) -> str:
    """What follows the last thought that ends in a text; all of it if none does.

    Args:
        text: The text of a path.
        end: The delimiter of the policy's binding; `None`: any of the usual tags.
    """
    for each in (end,) if end else (end for _, end in THOUGHT_TAGS):
        text = text.rpartition(each)[2]
    return text


def begun_mark(text: str, marks: Iterable[str]) -> str:
    """The longest end of a text that begins a mark without completing it; empty if none does."""
    sizes = (
        size
        for mark in marks
        for size in range(1, min(len(text) + 1, len(mark)))
        if text.endswith(mark[:size])
    )
    return text[len(text) - max(sizes, default=0) :]


class ThoughtSplit:
    """Splits a text, as it grows, where the thought ends that it begins with.

    A text begins with a thought if its prompt opens one or if it opens one itself, where the
    binding has no thoughts by any of the usual tags; a thought that does not end is all of the
    text. Delimiters belong to neither part.

    Args:
        binding: The policy's.
        thinking: The strategy opened a thought in the prompt.

    Attributes:
        thought, reply: What has been read; what may be the beginning of a delimiter is held back.
    """

    def __init__(self, binding: Binding, *, thinking: bool) -> None:
        self.thought = self.reply = ""
        self._held = ""
        self._openings: tuple[tuple[str, str], ...] = (
            THOUGHT_TAGS  # with one of which the text may still open a thought
        )
        self._end = ""  # ends the thought that is open
        marks = binding.thinking
        if marks is not None:
            begin = marks.begin.strip()
            if thinking or marks.always or (begin and binding.prompt.rstrip().endswith(begin)):
                self._openings, self._end = (), marks.end
            else:
                self._openings = ((begin, marks.end),) if begin else ()

    def feed(self, text: str) -> None:
        """Reads more of the text."""
        unread = self._held + text
        if self._openings:
            unread = self._opened(unread)
        if self._openings:
            self._held = unread
        elif self._end:
            self._held = self._ended(unread)
        else:
            self._held = ""
            self.reply += unread

    def close(self) -> tuple[str, str]:
        """Thought and reply, now that the text is complete."""
        if self._end:
            self.thought += self._held
        else:
            self.reply += self._held
        self._held = ""
        return self.thought, self.reply

    def _opened(self, unread: str) -> str:
        """The text left to read, once it is known whether it opens a thought."""
        start = unread.lstrip()
        for begin, end in self._openings:
            if start.startswith(begin):
                self._openings, self._end = (), end
                return start[len(begin) :]
        if not any(begin.startswith(start) for begin, _ in self._openings):
            self._openings = ()
        return unread

    def _ended(self, unread: str) -> str:
        end = self._end
        at = unread.find(end)
        if at >= 0:
            self.thought += unread[:at]
            self.reply += unread[at + len(end) :]
            self._end = ""
            return ""
        held = begun_mark(unread, (end,))
        self.thought += unread.removesuffix(held)
        return held


def split_thought(text: str, binding: Binding, *, thinking: bool) -> tuple[str, str]:
    """The thought that a complete text begins with, empty if there is none, and the rest."""
    split = ThoughtSplit(binding, thinking=thinking)
    split.feed(text)
    return split.close()
