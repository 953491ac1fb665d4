"""The catalogue of the frontend's diagnostics: what each code means, with examples.

The catalogue is data. `soma explain E012` and the documentation's page of codes print it; the
checker has a catalogue of its own with the same record.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """One kind of diagnostic: a title, a paragraph, a wrong example and its right form."""

    code: str
    title: str
    explanation: str
    wrong: str
    right: str
