"""A store that carries out calls one after the other, each at a moment within its time; or that
has one of several faults."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from somart.simulate.histories import FAIL, OK, UNKNOWN, Call
from somart.simulate.models import Model

Operation = tuple[Any, ...]


def run(
    model: Model,
    initial: Any,
    make: Callable[[Random, int], Operation],
    seed: int,
    calls: int = 60,
    processes: int = 4,
    fault: str = "",
    unknown: float = 0.1,
) -> tuple[Call, ...]:
    """The calls of some processes. Faults: `stale` reads what was some time ago, `lost` forgets an
    acknowledged change, `twice` carries out a change once more later, `failed` carries out what it
    says has failed."""
    rng = Random(seed)
    states: dict[Any, list[Any]] = {}
    done: list[Call] = []
    queue: list[tuple[int, int, int]] = [(rng.randrange(20), p, p) for p in range(processes)]
    later: list[tuple[int, Operation]] = []
    effects: list[tuple[int, int, int, Operation, int, bool]] = []
    number = 0
    while queue and number < calls:
        began, slot, process = heapq.heappop(queue)
        number += 1
        ended = began + rng.randrange(1, 30)
        lost_sight = rng.random() < unknown
        effects.append(
            (rng.randint(began, ended), number, process, make(rng, number), began, lost_sight)
        )
        heapq.heappush(queue, (ended + rng.randrange(1, 10), slot, process + 10 * lost_sight))
    for at, _, process, operation, began, lost_sight in sorted(effects):
        while later and later[0][0] <= at:
            again = later.pop(0)[1]
            past = states[model.part(again)]
            past.append(model.step(past[-1], again)[0])
        past = states.setdefault(model.part(operation), [model.initial(initial)])
        state, observes = past[-1], model.observes(operation, None)
        faulty = fault and rng.random() < 0.25
        if fault == "stale" and faulty and observes:
            state = past[max(0, len(past) - 1 - rng.randrange(1, 6))]
        after, result = model.step(state, operation)
        if lost_sight:
            if rng.random() < 0.5:
                past.append(after)
            done.append(Call(process, operation, began, None, UNKNOWN))
            continue
        ended = at + rng.randrange(0, 5)
        if fault == "failed" and faulty and not observes:
            past.append(after)
            done.append(Call(process, operation, began, ended, FAIL))
            continue
        if not (fault == "lost" and faulty) and not observes:
            past.append(after)
        if fault == "twice" and faulty and not observes:
            later.append((at + rng.randrange(5, 40), operation))
            later.sort(key=lambda item: item[0])
        done.append(Call(process, operation, began, ended, OK, result))
    return tuple(sorted(done, key=lambda call: call.began))
