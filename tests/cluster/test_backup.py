"""Backups: of one moment, whole or refused, and good enough to found a cluster of another size."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import Cluster, Node, build, until

from somac.cli import run_command
from somart import App, Cell, ManifestSpec, ProgramSpec, Prop, SlotDecl, Value, handler
from somart.backup import BackupError, Copy, restore, verify
from somart.engines.standalone import StandaloneEngine
from somart.errors import SomaError

ACCOUNTS = 20
OPENING = 100

BANK = """
cell Bank {
    memory { accounts: Map<String, Int> [persistent] }
    scale { replicas: 3, consistency: strong }
    on open(name: String, amount: Int) { accounts.set(name, amount) }
    on transfer(from: String, to: String, amount: Int) {
        accounts.set(from, accounts.get(from) - amount)
        accounts.set(to, accounts.get(to) + amount)
        return note(from, to)
    }
    on total() {
        let sum = 0
        for amount in accounts.values() { sum += amount }
        return sum
    }
    on all() { return accounts.keys() |> map(k => k + "=" + to_string(accounts.get(k))) }
    on noted() { return count_notes() }
    on ids() { return all_ids() }
    on take_id() { return new_id() }
}

cell Audit {
    memory {
        notes: Map<String, String> [persistent]
        count: Map<String, Int> [persistent]
        taken: Map<String, Int> [persistent]
    }
    scale { replicas: 3, consistency: eventual }
    on note(a: String, b: String) {
        notes.set(a + b, "moved")
        count.set("all", (count.get("all") ?? 0) + 1)
    }
    on count_notes() { return count.get("all") ?? 0 }
    on new_id() {
        let id = next_id()
        taken.set(to_string(id), id)
        return id
    }
    on all_ids() { return taken.values() }
}
"""


class Shelf(Cell):
    """All kinds of memory."""

    soma_name = "Shelf"
    things = SlotDecl("things", "Map<String, Any>", (Prop("persistent"),))
    secrets = SlotDecl("secrets", "Map<String, String>", (Prop("persistent"), Prop("encrypted")))
    passing = SlotDecl("passing", "Map<String, Int>", (Prop("ephemeral"),))

    @handler("put", "key", "value")
    def put(self, key: Value, value: Value) -> Value:
        self.things.set(key, value)
        self.things.append(value)
        self.secrets.set(key, "hidden")
        self.passing.set(key, 1)
        return self.next_id()


SHELF = ProgramSpec(name="shelf", cells=(Shelf,), manifest=ManifestSpec(name="shelf"))


def opened(folder: Path) -> App:
    return App(SHELF, StandaloneEngine(folder))


def write(app: App, file: Path) -> None:
    assert isinstance(app.engine, StandaloneEngine)
    file.write_bytes(b"".join(Copy(SHELF, app.engine).chunks()))


def shelf(app: App) -> tuple[Value, ...]:
    cell = app.Shelf  # type: ignore[attr-defined]
    with app.transaction():
        things = cell.things.as_map()
        return things, cell.things.list(), cell.secrets.values(), cell.passing.len()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A backup of three entries."""
    with opened(tmp_path / "first") as app:
        for number in range(3):
            app.call("Shelf", "put", [f"k{number}", number])
        write(app, tmp_path / "backup")
    return tmp_path / "backup"


# --- files ---------------------------------------------------------------------------------------

_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.text("abcä\u2028", min_size=1, max_size=5), _VALUES, max_size=5))
def test_what_is_restored_is_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Value]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    with opened(folder / "first") as app:
        for key, value in entries.items():
            app.call("Shelf", "put", [key, value])
        write(app, folder / "backup")
        things, records, secrets, _ = shelf(app)
    assert verify(folder / "backup").rows >= 2 * len(entries)
    restore(folder / "backup", folder / "second")
    key = (folder / "first" / "soma.key").read_bytes()  # sealed values stay sealed
    (folder / "second" / "soma.key").write_bytes(key)
    with opened(folder / "second") as app:
        assert shelf(app) == (things, records, secrets, 0)
        assert app.call("Shelf", "put", ["new", 1]) == len(entries) + 1


def test_a_backup_is_of_one_moment(tmp_path: Path) -> None:
    with opened(tmp_path / "first") as app:
        assert isinstance(app.engine, StandaloneEngine)
        app.call("Shelf", "put", ["a", 1])
        copy = Copy(SHELF, app.engine)
        app.call("Shelf", "put", ["a", 2])
        app.call("Shelf", "put", ["b", 3])
        (tmp_path / "backup").write_bytes(b"".join(copy.chunks()))
    restore(tmp_path / "backup", tmp_path / "second")
    (tmp_path / "second" / "soma.key").write_bytes((tmp_path / "first" / "soma.key").read_bytes())
    with opened(tmp_path / "second") as app:
        assert shelf(app)[:2] == ({"a": 1}, [1])


def test_secrets_are_not_in_the_file(written: Path) -> None:
    assert b"hidden" not in written.read_bytes()


def test_another_key_does_not_open_a_restored_directory(written: Path, tmp_path: Path) -> None:
    restore(written, tmp_path / "second")
    (tmp_path / "second" / "soma.key").write_bytes(bytes(32))
    with pytest.raises(SomaError, match="wrong encryption key"):
        opened(tmp_path / "second")


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_cut_or_changed_file_is_restored(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with opened(folder / "first") as app:
        app.call("Shelf", "put", ["a", 7])
        write(app, folder / "backup")
    content = (folder / "backup").read_bytes()
    at = data.draw(st.integers(0, len(content) - 2))
    changed = bytes([content[at] ^ (1 << data.draw(st.integers(0, 6)))])
    wrong = data.draw(st.sampled_from([content[:at], content[:at] + changed + content[at + 1 :]]))
    (folder / "wrong").write_bytes(wrong)
    with pytest.raises(BackupError):
        restore(folder / "wrong", folder / "second")
    assert not (folder / "second").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["backup", "first", "wrong"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: b"", "is no backup of a Soma program"),
        (lambda text: b"cell A {}\n", "is no backup of a Soma program"),
        (lambda text: text.replace(b'"soma_backup":1', b'"soma_backup":9'), "has format 9"),
        (lambda text: text.rstrip(b"\n").rpartition(b"\n")[0] + b"\n", "is cut short"),
        (lambda text: text[:-20], "is cut short"),
        (lambda text: text + text, "is damaged"),
        (lambda text: text.replace(b'"k1"', b'"k9"'), "is damaged"),
    ],
)
def test_one_message_says_what_is_wrong(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: object, said: str
) -> None:
    assert callable(change)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(change(written.read_bytes()))
    assert run_command(["restore", str(wrong), "--data", str(tmp_path / "second")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: nothing restored: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "second").exists()


def test_nothing_is_restored_over_data(written: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is not empty"):
        restore(written, tmp_path / "first")
    (tmp_path / "empty").mkdir()
    assert restore(written, tmp_path / "empty").program == "shelf"


def test_nobody_to_back_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "backup"
    assert run_command(["backup", "127.0.0.1:1", "-o", str(file)]) == 1
    assert "cannot command 127.0.0.1:1" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


# --- a cluster -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(BANK, tmp_path_factory.mktemp("bank"))


SHARDED = """
cell Store {
    memory { things: Map<String, Int> [persistent] }
    scale { replicas: 4, shard: things, consistency: eventual, tolerance: 0 }
    on put(key: String, value: Int) { things.set(key, value) }
    on remove(key: String) { things.delete(key) }
    on all() { return things.keys() }
}
"""


@pytest.mark.slow
def test_shards_of_other_nodes_are_in_the_backup(tmp_path: Path) -> None:
    package, file = build(SHARDED, tmp_path / "store"), tmp_path / "backup"
    names = sorted(f"k{number}" for number in range(30))
    with Cluster(package, tmp_path / "old") as cluster:
        nodes = cluster.of(2)
        for number, name in enumerate(names):
            body = {"key": name, "value": number}
            assert nodes[number % 2].request("POST", "/put", body).status == 200
        assert nodes[0].request("POST", "/remove", {"key": names.pop()}).status == 200
        for node in nodes:
            until(lambda node=node: node.get("/all") == names, f"{node.name} has all keys")
        assert run_command(["backup", nodes[1].bus, "-o", str(file)]) == 0

        nodes[0].kill()
        again = tmp_path / "again"
        until(lambda: run_command(["backup", nodes[1].bus, "-o", str(again)]) == 1, "a refusal")
        assert sorted(path.name for path in tmp_path.glob("again*")) == []

    with Cluster(package, tmp_path / "new") as cluster:
        first = cluster.add()
        assert run_command(["restore", str(file), "--data", str(first.data)]) == 0
        first.start()
        first.wait_ready()
        assert first.get("/all") == names


class Movers:
    """Clients that move money until the block ends."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._stopping = threading.Event()
        self.moved = 0
        self._threads = [threading.Thread(target=self._move, args=(n,)) for n in range(3)]

    def __enter__(self) -> Movers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _move(self, number: int) -> None:
        turn = number
        while not self._stopping.is_set():
            turn += 7
            body = {"from": f"a{turn % ACCOUNTS}", "to": f"a{(turn + 3) % ACCOUNTS}", "amount": 1}
            try:
                answer = self._nodes[number].request("POST", "/transfer", body)
            except OSError:
                continue
            self.moved += answer.status == 200


@pytest.mark.slow
def test_from_three_nodes_under_load_to_one_and_two(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    with Cluster(package, tmp_path / "old") as cluster:
        nodes = list(cluster.of(3))
        until(lambda: len(nodes[0].status()["consensus"]["voters"]) == 3, "three voters")
        for number in range(ACCOUNTS):
            body = {"name": f"a{number}", "amount": OPENING}
            assert nodes[number % 3].request("POST", "/open", body).status == 200
        taken = [nodes[n % 3].get("/take_id")["result"] for n in range(12)]
        assert len(set(taken)) == 12
        with Movers(nodes) as movers:
            until(lambda: movers.moved > 50, "some transfers")
            assert run_command(["backup", nodes[1].bus, "-o", str(file)]) == 0
            seen = movers.moved
            until(lambda: movers.moved > seen + 20, "more transfers")
        assert nodes[2].get("/total") == {"result": ACCOUNTS * OPENING}
        until(lambda: nodes[1].get("/noted") == {"result": movers.moved}, "all is noted")

    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    header, rows = lines[0], lines[1:-1]
    tables = [name for name, *_ in header["tables"]]
    kept = {row[1]: int(row[2]) for row in rows if tables[row[0]] == "Bank.accounts"}
    assert len(kept) == ACCOUNTS
    assert sum(kept.values()) == ACCOUNTS * OPENING

    with Cluster(package, tmp_path / "new") as cluster:
        first = cluster.add()
        assert run_command(["restore", str(file), "--data", str(first.data)]) == 0
        first.start()
        first.wait_ready()
        assert first.get("/all") == [f"{name}={kept[name]}" for name in sorted(kept)]
        assert first.get("/total") == {"result": ACCOUNTS * OPENING}
        noted = first.get("/noted")["result"]
        assert 0 < noted <= movers.moved
        known = first.get("/ids")
        new = first.get("/take_id")["result"]
        assert new > max(taken)
        assert new not in known

        second = cluster.grow()
        until(lambda: second.get("/noted") == {"result": noted}, "the copy is complete")
        assert second.get("/all") == first.get("/all")
        assert second.get("/take_id")["result"] not in [*taken, new]
        body = {"from": "a0", "to": "a1", "amount": 5}
        assert second.request("POST", "/transfer", body).status == 200
        assert first.get("/total") == {"result": ACCOUNTS * OPENING}
