"""Carries the line table of a generated module over the formatter.

Formatting moves lines but keeps the syntax tree, so the two trees are walked in parallel: where a
node stood and where it stands now tells which line became which.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TypeVar

Place = TypeVar("Place")


def moved_lines(
    before: str, after: str, rows: Sequence[tuple[int, Place]]
) -> list[tuple[int, Place]]:
    """The rows `(line, place)` of the text `before`, for the text `after`.

    A row holds until the next one, in both. Raises `ValueError` when the texts differ by more than
    their layout.
    """
    starts = [line for line, _ in rows]
    first: dict[int, tuple[int, Place]] = {}  # new line -> (column, place) of its leftmost node
    for old, new in _pairs(ast.parse(before), ast.parse(after)):
        index = bisect_right(starts, old.lineno) - 1
        known = first.get(new.lineno)
        if index >= 0 and (known is None or new.col_offset < known[0]):
            first[new.lineno] = (new.col_offset, rows[index][1])
    return _shortened([(line, first[line][1]) for line in sorted(first)])


def _pairs(before: ast.AST, after: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Corresponding nodes that have a place (statements and expressions alike)."""
    todo = [(before, after)]
    while todo:
        old, new = todo.pop()
        if type(old) is not type(new):
            raise ValueError("the formatted module says something else")
        if hasattr(old, "lineno"):
            yield old, new  # type: ignore[misc]  # both have lineno and col_offset
        olds, news = list(ast.iter_child_nodes(old)), list(ast.iter_child_nodes(new))
        if len(olds) != len(news):
            raise ValueError("the formatted module says something else")
        todo.extend(zip(olds, news, strict=True))


def _shortened(rows: Sequence[tuple[int, Place]]) -> list[tuple[int, Place]]:
    """Without the rows that say the same as the row before."""
    kept: list[tuple[int, Place]] = []
    for row in rows:
        if not kept or kept[-1][1] != row[1]:
            kept.append(row)
    return kept
