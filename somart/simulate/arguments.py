"""Arguments for random calls: by the declared type of a parameter, few distinct ones, so that calls
meet each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from ..values import Value, Variant

WORDS = ("ada", "bob", "cyd", "dov", "eva")
_NESTING = 3
_REUSE = 0.5
"""How often an identifier from an earlier answer is used."""


class Pool:
    """Identifiers from earlier answers, the latest ones."""

    def __init__(self, most: int = 40) -> None:
        self.values: list[Value] = []
        self._most = most

    def learn(self, answer: Value) -> None:
        """Ints and short Strings of an answer may be identifiers."""
        kind = answer.__class__
        if kind is int or (kind is str and 0 < len(answer) <= 40):
            if answer not in self.values:
                self.values.append(answer)
                del self.values[: -self._most]
        elif kind is list:
            for item in answer[-5:]:
                self.learn(item)
        elif kind is dict:
            for item in list(answer.values())[:10]:
                self.learn(item)


class Arguments:
    """Draws values; `variants` gives the type of each variant, as in `ProgramSpec`."""

    def __init__(self, variants: Mapping[str, Any], pool: Pool) -> None:
        self._pool = pool
        self._variants: dict[str, list[str]] = {}
        for name, type_name in variants.items():
            if isinstance(type_name, str):
                self._variants.setdefault(type_name, []).append(name)

    def draw(self, rng: Random, type_text: str, window: int = 0, depth: int = 0) -> Value:
        """A value of a type; `window` changes slowly, so that some names are used for a while and
        then never again."""
        base, inner = _split(type_text)
        if base in ("List", "Set") and depth < _NESTING:
            item = inner[0] if inner else "Int"
            return [self.draw(rng, item, window, depth + 1) for _ in range(rng.randrange(4))]
        if base == "Map" and depth < _NESTING:
            value = inner[1] if len(inner) > 1 else "Int"
            names = rng.sample(WORDS, rng.randrange(3))
            return {name: self.draw(rng, value, window, depth + 1) for name in names}
        if base in self._variants:
            return Variant(base, rng.choice(self._variants[base]))
        return self._scalar(rng, base, window)

    def _scalar(self, rng: Random, base: str, window: int) -> Value:
        known: Sequence[Value] = self._pool.values
        match base:
            case "Int":
                ids = [value for value in known if value.__class__ is int]
                if ids and rng.random() < _REUSE:
                    return rng.choice(ids)
                return rng.choice((0, 1, 2, 3, 5, 10, 100, -1, rng.randrange(1000)))
            case "Float":
                return rng.choice((0.0, 0.5, 1.0, 2.5, -1.0, rng.random() * 100))
            case "Bool":
                return rng.random() < 0.5
            case "String":
                if known and rng.random() < _REUSE:
                    return str(rng.choice(list(known)))
                word = rng.choice(WORDS)
                return word if rng.random() < 0.3 else f"{word}{window}"
            case _:
                return rng.choice((rng.randrange(10), rng.choice(WORDS), True, None))


def _split(type_text: str) -> tuple[str, list[str]]:
    """`Map<String, List<Int>>` as ("Map", ["String", "List<Int>"])."""
    base, _, rest = type_text.strip().partition("<")
    inner, depth, word = [], 0, ""
    for character in rest.removesuffix(">"):
        if character == "," and depth == 0:
            inner.append(word.strip())
            word = ""
            continue
        depth += {"<": 1, ">": -1}.get(character, 0)
        word += character
    if word.strip():
        inner.append(word.strip())
    return base.strip(), inner
