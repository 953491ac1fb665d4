"""Where keys and nodes lie on the ring: FNV-1a with a mixing finaliser.

Plain FNV-1a (Fowler, Noll and Vo; constants of spec 3 §9.1) hardly moves its high bits when only
the last characters differ: `T000` to `T999` all fell on one of three nodes. MurmurHash3's 64-bit
finaliser (Appleby, 2011, `fmix64`) is a bijection in which every bit of the input flips every bit
of the output half the time; it comes after both keys and points of the ring.
"""

from __future__ import annotations

from functools import lru_cache

SEGMENTS = 4_096
"""Equal parts of the hash space: the unit of ownership, digests and hand-over (decision 012)."""

SEGMENT_SHIFT = 52
"""A segment holds 2^52 hashes: 4,096 of them make 2^64."""

FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF


def fnv1a(data: bytes, state: int = FNV_OFFSET) -> int:
    """FNV-1a, 64 bits. `state` is the result for what came before `data`, to share a prefix."""
    for byte in data:
        state = ((state ^ byte) * FNV_PRIME) & _MASK
    return state


def mixed(value: int) -> int:
    """The finaliser `fmix64` of MurmurHash3."""
    value ^= value >> 33
    value = (value * 0xFF51AFD7ED558CCD) & _MASK
    value ^= value >> 33
    value = (value * 0xC4CEB9FE1A85EC53) & _MASK
    return value ^ (value >> 33)


def hash64(text: str) -> int:
    """The place of a text on the ring, 0 to 2^64 - 1; any text has one, lone surrogates too."""
    return mixed(fnv1a(text.encode("utf-8", "surrogatepass")))


@lru_cache(maxsize=1 << 16)
def segment_of(key: str) -> int:
    """The segment that a key belongs to, 0 to 4,095."""
    return hash64(key) >> SEGMENT_SHIFT
