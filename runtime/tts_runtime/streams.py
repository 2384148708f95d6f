"""Randomness that belongs to candidates: stream keys, and the noise drawn from them.

A key is 16 bytes. The token at position t of a candidate with key K is drawn with the Gumbel noise
`gumbel(K, t)`: a pure function of key, position and token id, the same in every engine and for
every batch. Keys are derived here and nowhere else (language.md, "Randomness"; semantics.md C1 to
C15, C65).

Invariant U: no (key, position, policy) is drawn in two contexts. For it, a key belongs to one way
of sampling (`sampling_tag`): child 0 inherits its parent's key only if it is sampled as its parent
was. Without this, `sample 2` at temperature 1 and a called strategy's `sample 2` at temperature
0.5 would meet at one key and position behind different texts (docs/semantics.md, C2).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from math import log
from typing import Final, TypeAlias

Key: TypeAlias = bytes
Part: TypeAlias = "int | str | bytes | tuple[int, ...]"

#: Tag of a key that no sampling has claimed: the problem's own, and every derived key.
UNCLAIMED: Final = b""

#: Constants of SplitMix64 (Steele, Lea and Flood 2014).
GOLDEN: Final = 0x9E3779B97F4A7C15
FIRST: Final = 0xBF58476D1CE4E5B9
SECOND: Final = 0x94D049BB133111EB
_64_BITS: Final = (1 << 64) - 1
_DENOMINATOR: Final = 2.0**-53


def derive(key: Key, *parts: Part) -> Key:
    """H(key, parts): a new key; different parts never collide by concatenation."""
    digest = blake2b(key, digest_size=16)
    for part in parts:
        if isinstance(part, int):
            data = b"i%d" % part
        elif isinstance(part, str):
            data = b"s" + part.encode()
        elif isinstance(part, bytes):
            data = b"b" + part
        else:
            data = b"t" + ",".join(map(str, part)).encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def root_key(seed: int, problem: str) -> Key:
    """The key of a problem's own node: H(run seed, problem id)."""
    return derive(b"root", seed, problem)


def sampling_tag(
    policy: str,
    temperature: float,
    top_p: float,
    top_k: int,
    min_p: float,
    irregular: str = "",
    avoiding: str = "",
) -> bytes:
    """What a key is claimed by: the policy and how its tokens are drawn.

    `irregular` names what makes a call's draws depend on where the call starts (`at least`,
    `likeliest`, `matching`); a key claimed so is never inherited. `avoiding`: that clause.
    """
    settings = f"{policy}|{temperature!r}|{top_p!r}|{top_k}|{min_p!r}|{irregular}"
    if avoiding:
        settings += f"|{avoiding}"
    return blake2b(settings.encode(), digest_size=8).digest()


def child_key(key: Key, claimed: bytes, position: int, level: int, number: int, tag: bytes) -> Key:
    """The key of child `number` made at `position`: the parent's for child 0 sampled as its parent.

    `level` counts the zero-token ancestors at this position (C10).
    """
    if number == 0 and tag == claimed:
        return key
    return derive(key, "child", position, level, number, tag)


def forced_key(key: Key, position: int, ids: tuple[int, ...]) -> Key:
    """The key after forced ids (C4)."""
    return derive(key, "force", position, ids)


def cut_key(key: Key, position: int, kept: int) -> Key:
    """The key after cutting a path of `position` tokens back to `kept`."""
    return derive(key, "cut", position, kept)


def split_key(key: Key, position: int, number: int, ids: tuple[int, ...]) -> Key:
    """The key of the `number`-th piece of a path of `position` tokens that was split.

    The piece's ids belong to it: split at another text, the same number is another piece.
    """
    return derive(key, "split", position, number, ids)


def thinking_key(key: Key) -> Key:
    """The key of the problem's conversation that opens with the begin-of-thinking delimiter."""
    return derive(key, "think")


def asked_key(prompt: str, given: Iterable[Part], about: Iterable[tuple[Key, int]]) -> Key:
    """The key of a new conversation: its prompt, what it shows, all that it asks about (C5, C6).

    `given` begins with the message and whether a thought opens after it: one row asked about twice
    can show different parents, other candidates or attempts, as a called strategy sees no lineage.
    """
    key = derive(b"ask", prompt, *given)
    for row_key, position in about:
        key = derive(key, row_key, position)
    return key


def lane_key(key: Key, copy: int) -> Key:
    """The key on which a call runs for the `copy`-th row (>= 1) on one node (C13)."""
    return derive(key, "copy", copy)


def fresh_key(key: Key, position: int, strategy: str, number: int) -> Key:
    """The key on which the `number`-th fresh call of a strategy runs (C65)."""
    return derive(key, "fresh", position, strategy, number)


def resample_key(root: Key, rows: Iterable[tuple[Key, int]], draw: int) -> Key:
    """The key of the `draw`-th resampling of one ordered list of rows (C12)."""
    key = derive(root, "resample")
    for row_key, position in rows:
        key = derive(key, row_key, position)
    return derive(key, draw)


def uniform(key: Key, draw: int = 0) -> float:
    """One number strictly between 0 and 1."""
    bits = int.from_bytes(blake2b(b"%d" % draw, key=key, digest_size=8).digest(), "little") >> 11
    return (bits + 0.5) * _DENOMINATOR


def gumbel_number(key: Key) -> float:
    """One standard Gumbel number."""
    return -log(-log(uniform(key)))


def seed_bytes(key: Key, position: int) -> bytes:
    """The 8 bytes, little-endian, that seed the noise at one position of a stream."""
    return blake2b(position.to_bytes(8, "little"), key=key, digest_size=8).digest()


def position_seed(key: Key, position: int) -> int:
    """`seed_bytes` as a signed number."""
    return int.from_bytes(seed_bytes(key, position), "little", signed=True)


def gumbel(seed: int, vocabulary: int) -> list[float]:
    """Standard Gumbel noise for every token, from 53 bits of SplitMix64 each."""
    noise = []
    state = seed & _64_BITS
    for _ in range(vocabulary):
        state = (state + GOLDEN) & _64_BITS
        bits = ((state ^ (state >> 30)) * FIRST) & _64_BITS
        bits = ((bits ^ (bits >> 27)) * SECOND) & _64_BITS
        noise.append(-log(-log((((bits ^ (bits >> 31)) >> 11) + 0.5) * _DENOMINATOR)))
    return noise
