"""`run` of programs with interior cells and a runtime section (core §5.2)."""

from __future__ import annotations

import io
from typing import Any

import pytest

from somart import (
    App,
    Cell,
    ProgramSpec,
    Prop,
    RuntimeConnect,
    RuntimeEmit,
    RuntimeStart,
    SlotDecl,
    SomaError,
    StandaloneEngine,
    Value,
    handler,
)
from somart.interior import run_interior


class Shop_Till(Cell):
    """An interior cell that emits."""

    soma_name = "Till"
    soma_path = "Shop.Till"
    sold = SlotDecl("sold", "Map<String, Int>", (Prop("persistent"),))

    @handler("buy", "what", "n")
    def buy(self, what: Value, n: Value) -> Value:
        self.sold.set(what, n)
        self.emit("bought", what)
        return self.next_id()


class Shop_Store(Cell):
    """An interior cell that hears it."""

    soma_name = "Store"
    soma_path = "Shop.Store"
    gone = SlotDecl("gone", "List<String>")

    @handler("bought", "what")
    def bought(self, what: Value) -> Value:
        self.gone.append(what)
        return None


class Shop_Clerk(Cell):
    """An interior cell that awaits."""

    soma_name = "Clerk"
    soma_path = "Shop.Clerk"
    soma_awaits = ("bought",)


class Shop(Cell):
    """The parent."""

    soma_name = "Shop"
    soma_children = (Shop_Till, Shop_Store, Shop_Clerk)
    soma_runtime = (
        RuntimeEmit("buy", ("tea", 2)),
        RuntimeConnect("Till", "bought", "Store"),
        RuntimeStart("Store"),
    )
    open_ = SlotDecl("open", "Map<String, Bool>")

    @handler("ask", "what")
    def ask(self, what: Value) -> Value:
        return self.delegate("Till", "buy", what, 1)


class Other(Cell):
    """Knows nothing of the interior of another cell."""

    soma_name = "Other"

    @handler("ask")
    def ask(self) -> Value:
        return self.delegate("Till", "buy", "x", 1)

    @handler("bought", "what")
    def bought(self, what: Value) -> Value:
        raise AssertionError("signals of an interior stay inside")


SHOP = ProgramSpec("shop", (Shop, Other))


def run(args: list[Value], folder: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    with App(SHOP, StandaloneEngine(folder)) as app:
        run_interior(app, args, out, err)
    return out.getvalue(), err.getvalue()


def test_the_dump_and_the_log(tmp_path: Any) -> None:
    assert SHOP.has_interior
    out, err = run([], tmp_path)
    assert out.splitlines() == [
        "cell Shop {",
        "  open [memory]: 0 entries",
        "  child Till {",
        "    sold [sqlite]: 0 entries",
        "  }",
        "  child Store {",
        "    gone [memory]: 0 entries",
        "  }",
        "  child Clerk {",
        "  }",
        "}",
        "cell Other {",
        "}",
    ]
    assert err.splitlines() == [
        "soma runtime v0.1.0",
        "---",
        "---",
        "---",
        "signal log:",
        "  signal buy -> 1 handler(s), 0 awaiter(s)",
        "  signal bought -> 1 handler(s), 1 awaiter(s)",
        "  wired: Till.bought -> Store",
        "  starting child: Store",
    ]


def test_arguments_go_to_the_first_child_handler(tmp_path: Any) -> None:
    run([], tmp_path)
    out, _ = run(["milk", 1], tmp_path)
    assert "    sold [sqlite]: 1 entries" in out
    assert out.splitlines()[-1] == "3"  # ids of the first run are not given again


def test_signals_reach_siblings_once_and_delegate_finds_children() -> None:
    with App(SHOP) as app:
        assert app.call("Shop", "ask", ["tea"]) == 1
        with app.transaction():
            assert app.Shop_Store.gone.list() == ["tea"]  # type: ignore[attr-defined]
        with pytest.raises(SomaError, match="delegate error: no handler found for signal 'buy'"):
            app.call("Other", "ask")
