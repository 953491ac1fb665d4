"""A node of the old version keeps strong rows that only the new one knows, over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from somart import App, Cell, ManifestSpec, ProgramSpec, Prop, ScaleSpec, SlotDecl
from somart.cluster.identity import difference, digests_of
from somart.consensus.proposal import Key, Row
from somart.consensus.service import Service
from somart.engines.consensus import ConsensusEngine
from somart.engines.strong import StrongTables


class Old(Cell):
    """The version that runs."""

    soma_name = "Bank"
    soma_scale = ScaleSpec(replicas=3, consistency="strong")
    accounts = SlotDecl("accounts", "Map<String, Int>", (Prop("persistent"),), shared=True)


class New(Cell):
    """The version that comes."""

    soma_name = "Bank"
    soma_scale = ScaleSpec(replicas=3, consistency="strong")
    accounts = SlotDecl("accounts", "Map<String, Int>", (Prop("persistent"),), shared=True)
    owners = SlotDecl("owners", "Map<String, String>", (Prop("persistent"),), shared=True)


def spec_of(cell: type[Cell]) -> ProgramSpec:
    return ProgramSpec(name="bank", cells=(cell,), manifest=ManifestSpec(name="bank"))


OLD, NEW = spec_of(Old), spec_of(New)
ROWS: list[tuple[str, Key, Row]] = [
    ("Bank.accounts", "a", ("1", "int", 0, 0)),
    ("Bank.owners", "a", ("ann", "string", 0, 0)),
    ("Bank.owners#log", 1, ("first", "string", 0, 0)),
]


class Node:
    """An engine that takes rows as if the log had brought them."""

    def __init__(self, spec: ProgramSpec, data: Path | None) -> None:
        self.engine = ConsensusEngine(spec, "n1", data)
        self.app = App(spec, self.engine)
        self.engine.service = cast(Service, object())  # rows come from a group only

    def write(self, rows: Sequence[tuple[str, Key, Row | None]]) -> None:
        for table, key, row in rows:
            self.engine.strong.write(table, key, row, 1)
        self.engine.store_now(self.engine.strong.take_rows())

    def rows(self) -> list[tuple[str, Key, Row]]:
        return list(self.engine.strong.dump())

    def close(self) -> None:
        self.engine.service = None
        self.app.close()


def test_unknown_rows_are_kept_and_sent_on(tmp_path: Path) -> None:
    node = Node(OLD, tmp_path)
    node.write(ROWS)
    assert node.rows() == ROWS
    assert node.engine.strong.next_key("Bank.owners#log") == 2
    node.close()

    again = Node(OLD, tmp_path)  # a snapshot of its own still has them
    assert again.rows() == ROWS
    again.write([("Bank.owners", "b", ("bob", "string", 0, 0)), ("Bank.owners", "a", None)])
    again.close()

    upgraded = Node(NEW, tmp_path)
    assert [row for row in upgraded.rows() if row[0] == "Bank.owners"] == [
        ("Bank.owners", "b", ("bob", "string", 0, 0))
    ]
    upgraded.close()

    back = Node(OLD, tmp_path)
    assert ("Bank.owners", "b", ("bob", "string", 0, 0)) in back.rows()
    back.close()


def test_who_goes_back_to_the_old_version_still_has_them(tmp_path: Path) -> None:
    for spec in (NEW, OLD):
        node = Node(spec, tmp_path)
        if spec is NEW:
            node.write(ROWS)
        assert node.rows() == ROWS
        node.close()


@pytest.mark.parametrize("stored", [True, False])
def test_a_snapshot_brings_tables_that_are_not_known(tmp_path: Path, stored: bool) -> None:
    node = Node(OLD, tmp_path if stored else None)
    node.engine.strong.replace(ROWS, 5)
    assert node.rows() == ROWS
    node.engine.strong.replace(ROWS[:1], 6)
    assert node.rows() == ROWS[:1]
    node.close()


def test_without_somebody_to_make_tables_rows_are_passed_over() -> None:
    tables = StrongTables()
    tables.replace(ROWS, 1)
    assert list(tables.dump()) == []
    assert tables.next_key("Bank.owners#log") == 1


def test_both_versions_fit() -> None:
    assert difference(digests_of(OLD), digests_of(NEW)) is None
    assert difference(digests_of(NEW), digests_of(OLD)) is None
