"""The program under test, as the compiler would write it; `ungrouped` commits one by one."""

from __future__ import annotations

import sys
from pathlib import Path

from somart import App, Cell, ProgramSpec, Prop, SlotDecl, StandaloneEngine, Value, handler, ops
from somart.engines.base import DURABLE
from somart.node import main
from somart.transaction import Transaction


class Ungrouped(StandaloneEngine):
    """One SQLite transaction and one fsync per request, on the event loop at once."""

    def commit(self, transaction: Transaction) -> int:
        ticket = super().commit(transaction)
        if ticket != DURABLE:
            self.flush()
            self.check(ticket)
        return DURABLE


class UngroupedApp(App):
    """The same app on that engine."""

    def __init__(self, spec: ProgramSpec, engine: StandaloneEngine) -> None:
        super().__init__(spec, Ungrouped(engine.data_dir or Path(".soma_data")))


class Bench(Cell):
    """cell Bench"""

    soma_name = "Bench"
    store = SlotDecl("store", "Map<String, Int>", (Prop("persistent"),))

    @handler("add", "a", "b")
    def add(self, a: Value, b: Value) -> Value:
        return {"sum": ops.add(a, b)}

    @handler("put", "k", "v")
    def put(self, k: Value, v: Value) -> Value:
        self.store.set(k, v)
        return {"ok": True}


if __name__ == "__main__":
    ungrouped = sys.argv[1] == "ungrouped"
    program = ProgramSpec("bench", (Bench,), app_class=UngroupedApp if ungrouped else App)
    sys.exit(main(program, sys.argv[2:]))
