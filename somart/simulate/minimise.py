"""The smallest run that still fails: delta debugging over faults and calls (Zeller and Hildebrandt,
2002, Simplifying and Isolating Failure-Inducing Input, algorithm ddmin)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .simulation import Outcome, Settings

Run = Callable[[Settings], Outcome]


def ddmin(items: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """A part of `items` that still fails and of which none can be left out (if `fails` is never
    tired; it may say no when it has had enough)."""
    kept, parts = list(items), 2
    if kept and fails([]):
        return []
    while len(kept) >= 2:
        size = -(-len(kept) // parts)
        chunks = [kept[start : start + size] for start in range(0, len(kept), size)]
        for number, chunk in enumerate(chunks):
            rest = [item for other in chunks[:number] + chunks[number + 1 :] for item in other]
            if fails(chunk):
                kept, parts = chunk, 2
                break
            if len(chunks) > 2 and fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(kept):
                break
            parts = min(2 * parts, len(kept))
    return kept


class Minimiser:
    """Runs a failing simulation again with less and less, at most `budget` times."""

    def __init__(self, run: Run, failed: Outcome, budget: int = 60) -> None:
        self.best = failed
        self.runs = 0
        self._run = run
        self._budget = budget
        self._kind = failed.failures[0].kind

    def minimise(self) -> Outcome:
        """The smallest failing run that was found: fewer faults, fewer calls, a shorter time."""
        first = self.best
        calls = first.settings.only_calls
        if calls is None:
            calls = frozenset(range(first.settings.calls))
        self._fails(replace(first.settings, only_calls=calls))
        self._shrink_faults()
        self._shrink_calls()
        self._shrink_faults()
        return self.best

    def _fails(self, settings: Settings) -> bool:
        if self.runs >= self._budget:
            return False
        self.runs += 1
        outcome = self._run(settings)
        if self._kind not in {failure.kind for failure in outcome.failures}:
            return False  # passed, or failed for another reason
        self.best = outcome
        return True

    def _shrink_faults(self) -> None:
        numbers = [fault.number for fault in self.best.faults]

        def fails(kept: Sequence[int]) -> bool:
            return self._fails(replace(self.best.settings, only_faults=frozenset(kept)))

        ddmin(numbers, fails)

    def _shrink_calls(self) -> None:
        calls = self.best.settings.only_calls or frozenset()

        def fails(kept: Sequence[int]) -> bool:
            return self._fails(replace(self.best.settings, only_calls=frozenset(kept)))

        ddmin(sorted(calls), fails)


# --- what a run is called ------------------------------------------------------------------------


def only_text(settings: Settings) -> str:
    """The value of `--only` that picks these faults and calls: `f0,f3,c5-9`, empty for all."""
    words = [
        *_ranges("f", settings.only_faults),
        *_ranges("c", settings.only_calls),
    ]
    return ",".join(words)


def _ranges(letter: str, numbers: frozenset[int] | None) -> list[str]:
    if numbers is None:
        return []
    if not numbers:
        return [f"{letter}-"]
    words, ordered = [], sorted(numbers)
    first = last = ordered[0]
    for number in [*ordered[1:], -1]:
        if number != last + 1:
            words.append(f"{letter}{first}" if first == last else f"{letter}{first}-{last}")
            first = number
        last = number
    return words


def with_only(settings: Settings, text: str) -> Settings:
    """The settings with the picks of `only_text`. Raises ValueError for anything else."""
    picks: dict[str, set[int]] = {}
    for word in filter(None, text.split(",")):
        letter, span = word[0], word[1:]
        if letter not in "fc":
            raise ValueError(f"'{word}' is neither a fault (f3) nor a call (c7, c7-9)")
        chosen = picks.setdefault(letter, set())
        if span == "-":  # none at all
            continue
        first, _, last = span.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise ValueError(f"'{word}' is neither a fault (f3) nor a call (c7, c7-9)")
        chosen.update(range(int(first), int(last or first) + 1))
    faults, calls = picks.get("f"), picks.get("c")
    return replace(
        settings,
        only_faults=None if faults is None else frozenset(faults),
        only_calls=None if calls is None else frozenset(calls),
    )
