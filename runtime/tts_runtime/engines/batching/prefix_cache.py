"""Keys and values of texts read before: a radix tree over token ids, the least used forgotten.

The tree of SGLang's RadixAttention (Zheng et al. 2024), holding copies instead of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tts_runtime.engines.batching.forward import Array, KvCache


@dataclass(slots=True, eq=False)
class _Node:
    ids: tuple[int, ...]
    segment: Array | None  # [len(ids), ...]
    parent: _Node | None
    used: int = 0
    children: dict[int, _Node] = field(default_factory=dict)


class PrefixCache:
    """Segments of keys and values by the ids before and in them.

    Args:
        capacity: Tokens to keep; the least recently used ends of texts go first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.tokens = 0
        self._root = _Node((), None, None)
        self._clock = 0

    def find(self, ids: Sequence[int]) -> tuple[list[Array], int]:
        """The segments of the longest known prefix of `ids`, and its length."""
        segments: list[Array] = []
        node, matched = self._root, 0
        self._clock += 1
        while matched < len(ids):
            child = node.children.get(ids[matched])
            if child is None or child.segment is None:
                break
            common = common_length(child.ids, ids[matched : matched + len(child.ids)])
            child.used = self._clock
            segments.append(child.segment[:common])
            matched += common
            if common < len(child.ids):
                break
            node = child
        return segments, matched

    def add(self, ids: Sequence[int], source: KvCache, row: int) -> None:
        """Remembers a text that a row of a cache holds; copies what is not known yet."""
        node, matched = self._root, 0
        self._clock += 1
        while matched < len(ids):
            child = node.children.get(ids[matched])
            if child is None:
                rest = tuple(ids[matched:])
                leaf = _Node(rest, source.read(row, matched, len(ids)), node, self._clock)
                node.children[rest[0]] = leaf
                self.tokens += len(rest)
                return
            common = common_length(child.ids, ids[matched : matched + len(child.ids)])
            if common < len(child.ids):
                child = _split(child, common, source)
            child.used = self._clock
            matched += common
            node = child

    def trim(self) -> None:
        """Forgets until the capacity is kept, with some to spare so that this is rare."""
        if self.tokens <= self.capacity:
            return
        while self.tokens > self.capacity * 3 // 4:
            leaves = sorted(self._leaves(), key=lambda node: node.used)
            # Half of the leaves at a time: what they hung on may be older than the other half.
            for leaf in leaves[: -(-len(leaves) // 2)]:
                if self.tokens <= self.capacity * 3 // 4:
                    return
                assert leaf.parent is not None
                del leaf.parent.children[leaf.ids[0]]
                self.tokens -= len(leaf.ids)

    def _leaves(self) -> list[_Node]:
        found, stack = [], [*self._root.children.values()]
        while stack:
            node = stack.pop()
            stack.extend(node.children.values())
            if not node.children:
                found.append(node)
        return found


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading ids two texts share."""
    if first == second:
        return len(first)
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return number
    return min(len(first), len(second))


def _split(node: _Node, length: int, cache: KvCache) -> _Node:
    """Cuts a node in two; gives the upper one."""
    assert node.parent is not None
    assert node.segment is not None
    # Copies, not views: a forgotten half must free its memory.
    first, rest = (cache.copy(part) for part in (node.segment[:length], node.segment[length:]))
    upper = _Node(node.ids[:length], first, node.parent, node.used)
    node.parent.children[node.ids[0]] = upper
    node.ids, node.segment = node.ids[length:], rest
    node.parent = upper
    upper.children[node.ids[0]] = node
    return upper
