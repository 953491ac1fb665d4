"""Edits of a text: everything outside them stays as it was, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable

from ..frontend.frozen import Frozen


class Edit(Frozen):
    """Puts `text` in the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str = ""


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made. Insertions at one place keep their order.

    Raises ValueError when two edits overlap.
    """
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if edit.start < position:
            raise ValueError(f"edits overlap at character {edit.start}")
        parts += (text[position : edit.start], edit.text)
        position = edit.end
    parts.append(text[position:])
    return "".join(parts)
