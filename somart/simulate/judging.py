"""Judges a history by what its model is, whichever checker that takes."""

from __future__ import annotations

from .histories import History, HistoryError
from .linearizability import check
from .models import MODELS, two_ways_out
from .serializability import check_appends, check_registers


def judge(history: History) -> list[str]:
    """What no order of its calls explains, in words; empty: the history is explained.

    Raises HistoryError for an unknown model, linearizability.Undecided.
    """
    if history.model == "list transactions":
        return [str(anomaly) for anomaly in check_appends(history.calls)]
    if history.model == "register transactions":
        return [str(anomaly) for anomaly in check_registers(history.calls, history.initial)]
    if history.model not in MODELS:
        raise HistoryError(f"no such model: {history.model}")
    found = check(MODELS[history.model], history.calls, history.initial)
    wrong = [] if found is None else [str(found)]
    if history.model == "lifecycles":
        wrong += two_ways_out(history.calls, history.initial)
    return wrong
