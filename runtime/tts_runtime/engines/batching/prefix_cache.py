"""Keys and values of texts read before: a radix tree over token ids, the least used forgotten.

The tree of SGLang's RadixAttention (Zheng et al. 2024), holding copies instead of pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tts_runtime.engines.batching.forward import Array, KvCache

#: Ids that are compared at once.
_SLICE: Final = 16


@dataclass(slots=True, eq=False)
class _Node:
    ids: tuple[int, ...]
    segment: Array  # [len(ids), ...]; the root has none
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

    def length(self, ids: tuple[int, ...]) -> int:
        """How many of the first ids are known."""
        return self._path(ids)[1]

    def segments(self, ids: tuple[int, ...]) -> list[tuple[int, Array]]:
        """The segments of what is known of the first ids, each with where it begins."""
        nodes, _, part = self._path(ids)
        segments: list[tuple[int, Array]] = []
        begin = 0
        for node in nodes:
            segments.append((begin, node.segment))
            begin += len(node.ids)
        if nodes and part < len(nodes[-1].ids):
            begin, segment = segments[-1]
            segments[-1] = begin, segment[:part]
        return segments

    def add(self, ids: tuple[int, ...], source: KvCache, row: int) -> None:
        """Remembers a text that a row of a cache holds; copies what is not known yet."""
        nodes, matched, part = self._path(ids)
        if matched == len(ids):
            return
        node = nodes[-1] if nodes else self._root
        if part < len(node.ids):
            node = _split(node, part, source)
        rest = ids[matched:]
        leaf = _Node(rest, source.read(row, matched, len(ids)), node, self._clock)
        node.children[rest[0]] = leaf
        self.tokens += len(rest)

    def _path(self, ids: tuple[int, ...]) -> tuple[list[_Node], int, int]:
        """The nodes of the longest known prefix, its length, and how many ids of the last node
        belong to it."""
        self._clock = clock = self._clock + 1
        nodes: list[_Node] = []
        node, matched, part, many = self._root, 0, 0, len(ids)
        while matched < many:
            child = node.children.get(ids[matched])
            if child is None:
                break
            child.used = clock
            nodes.append(child)
            part = len(child.ids)
            end = matched + part
            if child.ids != (here := ids[matched:end]):
                part = common_length(child.ids, here)
                matched += part
                break
            node, matched = child, end
        return nodes, matched, part

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


def common_length(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """How many leading ids two texts share."""
    many, same = min(len(first), len(second)), 0
    # Slices are compared without a turn of the interpreter for each id.
    while same < many and first[same : same + _SLICE] == second[same : same + _SLICE]:
        same += _SLICE
    while same < many and first[same] == second[same]:
        same += 1
    return min(same, many)


def _split(node: _Node, length: int, cache: KvCache) -> _Node:
    """Cuts a node in two; gives the upper one."""
    assert node.parent is not None
    # Copies, not views: a forgotten half must free its memory.
    first, rest = (cache.copy(part) for part in (node.segment[:length], node.segment[length:]))
    upper = _Node(node.ids[:length], first, node.parent, node.used)
    node.parent.children[node.ids[0]] = upper
    node.ids, node.segment = node.ids[length:], rest
    node.parent = upper
    upper.children[node.ids[0]] = node
    return upper
