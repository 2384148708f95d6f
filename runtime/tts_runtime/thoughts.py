"""Splits the text of a path into the policy's thought and its reply."""

from __future__ import annotations

from tts_runtime.binding import Binding


class ThoughtSplit:
    """Splits a text, as it grows, where the thought ends that it begins with.

    A text begins with a thought if its prompt opens one or if it opens one itself; a thought that
    does not end is all of the text. Delimiters belong to neither part.

    Args:
        binding: The policy's.
        thinking: The strategy opened a thought in the prompt.

    Attributes:
        thought, reply: What has been read; what may be the beginning of a delimiter is held back.
    """

    def __init__(self, binding: Binding, *, thinking: bool) -> None:
        self.thought = self.reply = ""
        self._held = ""
        marks = binding.thinking
        self._begin = self._end = ""  # of those, what still has to come
        if marks is not None:
            begin = marks.begin.strip()
            opened = marks.always or (begin and binding.prompt.rstrip().endswith(begin))
            self._end = marks.end
            self._begin = "" if thinking or opened else begin
            if not (thinking or opened or begin):
                self._end = ""

    def feed(self, text: str) -> None:
        """Reads more of the text."""
        if not self._end:
            self.reply += text
            return
        unread = self._held + text
        if self._begin:
            unread = self._opened(unread)
        if self._end and not self._begin:
            unread = self._ended(unread)
        self._held = unread

    def close(self) -> tuple[str, str]:
        """Thought and reply, now that the text is complete."""
        if self._end and not self._begin:
            self.thought += self._held
        else:
            self.reply += self._held
        self._held = ""
        return self.thought, self.reply

    def _opened(self, unread: str) -> str:
        """The text left to read, once it is known whether it opens a thought."""
        start = unread.lstrip()
        if start.startswith(self._begin):
            start = start[len(self._begin) :]
            self._begin = ""
            return start
        if self._begin.startswith(start):
            return unread
        self.reply, self._end = unread, ""
        return ""

    def _ended(self, unread: str) -> str:
        end = self._end
        at = unread.find(end)
        if at >= 0:
            self.thought += unread[:at]
            self.reply += unread[at + len(end) :]
            self._end = ""
            return ""
        sizes = range(min(len(unread), len(end) - 1), 0, -1)
        overlap = next((size for size in sizes if unread.endswith(end[:size])), 0)
        self.thought += unread[: len(unread) - overlap]
        return unread[len(unread) - overlap :]


def split_thought(text: str, binding: Binding, *, thinking: bool) -> tuple[str, str]:
    """The thought that a complete text begins with, empty if there is none, and the rest."""
    split = ThoughtSplit(binding, thinking=thinking)
    split.feed(text)
    return split.close()
