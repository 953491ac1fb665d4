"""Several machines, machines of other cells, limits, ids (spec 3 §1.10, §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from somart import (
    App,
    Arrow,
    Cell,
    MachineDecl,
    ProgramSpec,
    Prop,
    SlotDecl,
    SomaError,
    StandaloneEngine,
    Variant,
)

DOOR = MachineDecl("door", "shut", (Arrow("shut", "open"), Arrow("open", "shut")))


def cell(name: str, **parts: Any) -> type[Cell]:
    return type(name, (Cell,), {"soma_name": name, **parts})


def machine(name: str, *arrows: str, props: tuple[Prop, ...] = ()) -> MachineDecl:
    pairs = [Arrow(*arrow.split(">")) for arrow in arrows]
    return MachineDecl(name, pairs[0].source, pairs, props)


def do(app: App, action: Callable[[Any], Any], index: int = 0) -> Any:
    with app.transaction():
        return action(app.top_level[index])


def test_the_first_machine_with_the_target_moves() -> None:
    two = cell("C", a=machine("a", "x>y", "y>x"), b=machine("b", "p>q", "q>y"))
    app = App(ProgramSpec("p", (two,)))
    assert do(app, lambda c: c.transition(1, "q")) == {"id": "1", "from": "p", "to": "q"}
    assert do(app, lambda c: c.transition(1, "y")) == {"id": "1", "from": "x", "to": "y"}
    assert do(app, lambda c: (c.get_status(1), c.valid_transitions(1))) == ("y", ["x"])
    with pytest.raises(SomaError, match="invalid transition: y → nowhere"):
        do(app, lambda c: c.transition(1, "nowhere"))


def test_a_cell_without_a_machine_uses_the_only_one() -> None:
    one = App(ProgramSpec("p", (cell("A"), cell("B", m=machine("m", "x>y")))))
    assert do(one, lambda c: c.transition("i", Variant("T", "y"))["to"]) == "y"
    assert do(one, lambda c: c.get_status("i"), 1) == "y"
    several = App(
        ProgramSpec(
            "p", (cell("A"), cell("B", m=machine("m", "x>y")), cell("C", m=machine("m", "x>y")))
        )
    )
    for action in (lambda c: c.transition("i", "y"), lambda c: c.get_status("i")):
        with pytest.raises(SomaError, match=r"^no state machine found$"):
            do(several, action)
    assert do(several, lambda c: c.valid_transitions("i")) == []
    do(several, lambda c: c.transition("i", "y"), 1)
    assert do(several, lambda c: c.get_status("i"), 2) == "x"  # equal names, separate storage


def test_wildcards_match_any_state_also_the_target_itself() -> None:
    app = App(ProgramSpec("p", (cell("C", m=machine("m", "a>b", "*>z", "a>b")),)))
    assert do(app, lambda c: c.valid_transitions(1)) == ["b", "z", "b"]
    for _ in range(2):
        assert do(app, lambda c: c.transition(1, "z"))["to"] == "z"
    assert do(app, lambda c: c.valid_transitions(1)) == ["z"]


def test_max_instances() -> None:
    limited = machine("m", "a>b", "b>a", props=(Prop("max_instances", 1),))
    app = App(ProgramSpec("p", (cell("C", m=limited),)))
    do(app, lambda c: c.transition(1, "b"))
    do(app, lambda c: c.transition(1, "a"))
    with pytest.raises(SomaError) as error:
        do(app, lambda c: c.transition(2, "b"))
    assert str(error.value) == (
        "require failed: max_instances(1) of state machine 'm' reached: transition(\"2\") refused"
    )


@pytest.mark.parametrize(("props", "kept"), [((Prop("persistent"),), "y"), ((), "x")])
def test_states_persist_when_any_slot_of_the_program_does(
    tmp_path: Any, props: tuple[Prop, ...], kept: str
) -> None:
    spec = ProgramSpec(
        "p", (cell("A", m=machine("m", "x>y")), cell("B", s=SlotDecl("s", "Map", props)))
    )
    with App(spec, StandaloneEngine(tmp_path)) as app:
        do(app, lambda c: c.transition(1, "y"))
    with App(spec, StandaloneEngine(tmp_path)) as app:
        assert do(app, lambda c: c.get_status(1)) == kept


def test_ids_count_per_cell_and_persist_with_any_slot_of_the_cell(tmp_path: Any) -> None:
    kept = {"s": SlotDecl("s", "Map"), "t": SlotDecl("t", "Map", (Prop("persistent"),))}
    spec = ProgramSpec("p", (cell("A", **kept), cell("B", s=SlotDecl("s", "Map")), cell("C")))
    for first in ([1, 1, 1], [3, 1, 3]):
        with App(spec, StandaloneEngine(tmp_path)) as app:
            for index, number in enumerate(first):
                assert do(app, lambda c: (c.next_id(), c.next_id()), index) == (number, number + 1)
            mark_test = do(app, lambda c: (c.savepoint(), c.next_id(), c.app), 1)
            assert mark_test[1] == 3


def test_a_rolled_back_id_is_given_again() -> None:
    app = App(ProgramSpec("p", (cell("A", s=SlotDecl("s", "Map")),)))
    with app.transaction():
        owner: Any = app.top_level[0]
        mark = owner.savepoint()
        assert owner.next_id() == 1
        owner.rollback(mark)
        assert owner.next_id() == 1


def test_a_program_without_storage_has_one_id() -> None:
    app = App(ProgramSpec("p", (cell("A"),)))
    assert do(app, lambda c: (c.next_id(), c.next_id())) == (1, 1)
