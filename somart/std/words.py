"""Counting words (builtins §11)."""

from __future__ import annotations

import re

from ..errors import SomaError, type_error
from ..values.kinds import Value
from .strings import WHITE_SPACE

_WORD = re.compile(f"[^{re.escape(WHITE_SPACE)}]+")


def _count(texts: list[str]) -> dict[str, Value]:
    counts: dict[str, Value] = {}
    for s in texts:
        for word in _WORD.findall(s.lower()):
            counts[word] = counts.get(word, 0) + 1
    return counts


def _texts(items: list[Value], wrong: SomaError) -> list[str]:
    found = [item.get("content") if type(item) is dict else item for item in items]
    texts = [s for s in found if type(s) is str]
    if len(texts) < len(found):
        raise wrong
    return texts


def word_count(*args: Value) -> dict[str, Value]:
    """Lower-cased words and how often each occurs, in order of first appearance."""
    wrong = type_error("word_count(text) or word_count(list)")
    if args and type(args[0]) is str:
        return _count([args[0]])
    if not args or type(args[0]) is not list:
        raise wrong
    return _count(_texts(args[0], wrong))


def par_word_count(*args: Value) -> dict[str, Value]:
    """As `word_count`, of lists only."""
    wrong = type_error("par_word_count(list)")
    if not args or type(args[0]) is not list:
        raise wrong
    return _count(_texts(args[0], wrong))
