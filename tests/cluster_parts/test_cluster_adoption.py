"""A data directory goes into a cluster and back: nothing is lost, nothing wins by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cluster_cells import SHOP, ManualClock, Node

from somart import App, Cell, ProgramSpec, SlotDecl, SomaError, StandaloneEngine, handler
from somart.engines.cluster import ClusterEngine, describe_local_data
from somart.engines.stamped import set_aside
from somart.spec import Prop, ScaleSpec
from somart.values import Value

pytestmark = pytest.mark.slow
KEYS = ("a", "b", "c")


def alone(folder: Path) -> App:
    return App(SHOP, StandaloneEngine(folder, clock=ManualClock().wall))


def fill(folder: Path) -> None:
    with alone(folder) as app:
        for key in KEYS:
            app.call("Shop", "put", ["notes", key, f"standalone {key}"])
        for index in range(30):
            app.call("Shop", "say", [f"line {index}"])
        app.call("Shop", "put", ["prices", "k", 1])
        app.call("Shop", "put", ["prices", "k", 2])
        app.call("Shop", "put", ["brief", "k", 1])
        app.call("Shop", "move", ["o1", "paid"])
        assert [app.call("Shop", "fresh") for _ in range(3)] == [1, 2, 3]


def test_what_a_standalone_node_has_stored_gets_old_versions(tmp_path: Path) -> None:
    fill(tmp_path)
    node, other = Node("a", tmp_path), Node("b")
    inventory = describe_local_data(node.engine)
    assert inventory.entries == {
        "Shop.#machine.order": 1,
        "Shop.brief": 1,
        "Shop.notes": 3,
        "Shop.prices": 1,
        "Shop.prices#versions": 1,
        "Shop.trail#log": 30,
    }
    assert inventory.total == 37
    assert str(inventory).startswith("37 entries (Shop.#machine.order: 1, Shop.brief: 1")
    other.call("put", "notes", "a", "of the cluster")
    node.tell(other)
    other.tell(node)
    assert node.same_as(other)
    for one in (node, other):
        assert one.call("get", "notes", "a") == "of the cluster"
        assert one.call("get", "notes", "b") == "standalone b"
        assert one.call("trail_", 0) == [f"line {index}" for index in range(30)]
    node.engine.ids.found()
    assert node.call("fresh") == 4
    node.close()


def test_opening_again_adopts_nothing_anew(tmp_path: Path) -> None:
    fill(tmp_path)
    node = Node("a", tmp_path)
    node.call("say", "later")
    versions = {table: dict(node.replica.digests(table)) for table in node.replica.tables}
    origin = node.engine.origin
    node.close()
    again = Node("a", tmp_path, ManualClock(9_000_000))
    assert again.engine.origin == origin
    assert again.engine.boot == 2
    assert {t: dict(again.replica.digests(t)) for t in again.replica.tables} == versions
    assert again.call("trail_", 0)[-2:] == ["line 29", "later"]
    again.close()


def test_a_clustered_directory_can_be_used_without_a_cluster(tmp_path: Path) -> None:
    fill(tmp_path)
    node, other = Node("a", tmp_path), Node("b")
    node.engine.ids.found()
    assert node.call("fresh") == 4
    node.call("say", "in the cluster")
    node.call("put", "notes", "c", "in the cluster")
    node.tell(other)
    node.close()
    with alone(tmp_path) as app:
        heard = [f"line {index}" for index in range(30)] + ["in the cluster"]
        assert app.call("Shop", "trail_", [0]) == heard
        app.call("Shop", "say", ["alone again"])
        app.call("Shop", "put", ["notes", "a", "changed alone"])
        app.call("Shop", "cut", ["notes", "b"])
        assert app.call("Shop", "get", ["notes", "c"]) == "in the cluster"
        assert app.call("Shop", "fresh") == 5
    again = Node("a", tmp_path, ManualClock(2_000_000))
    again.tell(other)
    other.tell(again)
    assert again.same_as(other)
    for one in (again, other):
        assert one.call("everything", "notes") == {"a": "changed alone", "c": "in the cluster"}
        assert one.call("trail_", 0) == [*heard, "alone again"]
    assert again.call("fresh") > 5
    again.close()


def test_an_empty_clustered_log_takes_records_of_a_standalone_node(tmp_path: Path) -> None:
    Node("a", tmp_path).close()
    with alone(tmp_path) as app:
        for index in range(12):
            app.call("Shop", "say", [f"line {index}"])
        assert app.call("Shop", "trail_", [0]) == [f"line {index}" for index in range(12)]
    node = Node("a", tmp_path)
    assert node.call("trail_", 0) == [f"line {index}" for index in range(12)]
    node.close()


def test_a_directory_that_is_set_aside_is_kept(tmp_path: Path) -> None:
    assert set_aside(tmp_path) is None
    fill(tmp_path)
    kept = set_aside(tmp_path)
    assert kept is not None
    node = Node("a", tmp_path)
    assert describe_local_data(node.engine).total == 0
    assert str(describe_local_data(node.engine)) == "no entries"
    node.close()
    with alone(kept) as app:
        assert app.call("Shop", "get", ["notes", "a"]) == "standalone a"
    second = set_aside(tmp_path)
    assert second is not None
    assert second != kept


class Vault(Cell):
    soma_name = "Vault"
    soma_scale = ScaleSpec(consistency="causal")
    notes: Any = SlotDecl(
        "notes", "Map<String, String>", (Prop("persistent"), Prop("encrypted")), shared=True
    )

    @handler("fill", "text")
    async def fill(self, text: Value) -> Value:
        await self.notes.set("k", text)
        return await self.notes.append(text)

    @handler("read")
    async def read(self) -> Value:
        return [await self.notes.get("k"), *await self.notes.list()]


def test_encrypted_rows_are_adopted_and_stay_encrypted(tmp_path: Path) -> None:
    spec = ProgramSpec("vault", (Vault,))
    clock = ManualClock()
    with App(spec, StandaloneEngine(tmp_path, clock=clock.wall)) as app:
        app.call("Vault", "fill", ["secret words"])
    for _ in range(2):
        engine = ClusterEngine(spec, "a", tmp_path, clock=clock)
        with App(spec, engine) as app:
            assert app.call("Vault", "read") == ["secret words", "secret words"]
            (write,) = engine.replica.writes_of("Vault.notes", ["k"])
            assert write.version.stamp == (1, 0, engine.origin)
            assert engine.replica.consistency("Vault.notes") == "causal"
            assert engine.replica.copies("Vault.notes") is None
    assert b"secret words" not in (tmp_path / "soma.db").read_bytes()


def test_a_full_disk_at_the_first_opening_leaves_the_directory_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)

    def full(*_: object) -> None:
        raise SomaError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("somart.engines.database.Database.write", full)
        with pytest.raises(SomaError, match="disk is full"):
            Node("a", tmp_path)
    with alone(tmp_path) as app:
        assert len(app.call("Shop", "trail_", [0])) == 30
    node = Node("a", tmp_path)
    assert len(node.call("trail_", 0)) == 30
    node.close()
