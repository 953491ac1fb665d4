"""Batches on streams: three nodes converge, whatever the network and the disks do."""

from __future__ import annotations

import pytest
from core_network import CoreNetwork, cluster

from somart.cluster.messages import Batch, Message
from somart.memory.table import Entry
from somart.transaction import Transaction


def converge(net: CoreNetwork) -> None:
    net.loss = net.twice = net.late = 0.0
    net.heal()
    for host in net.hosts.values():
        if not host.alive:
            host.start()
    net.until(lambda: net.formed() and net.same())


def test_a_write_is_on_all_nodes_within_a_round_trip() -> None:
    net = cluster(3)
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(20)
    assert [host.value("notes", "k") for host in net.living] == ["v"] * 3
    net.run(2_000)
    assert not net.hosts["n1"].core.journal.batches


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_nodes_converge_under_loss_repetition_reordering_and_crashes(seed: int) -> None:
    net = cluster(3, seed)
    net.loss, net.twice, net.late = 0.15, 0.1, 0.3
    rng = net.rng
    acknowledged: dict[str, int] = {}
    counted = 0
    for step in range(60):
        host = rng.choice(net.living)
        if rng.random() < 0.8:
            host.call("put", "notes", f"k{step}", str(step))
            acknowledged[f"k{step}"] = step
            host.call("put", "stock", f"s{step}", step)
            host.call("add", "prices", "sum", step)
            counted += step
            host.call("say", f"line {step}")
        else:
            host.call("put", "notes", "fought over", f"{step}")
        if rng.random() < 0.1 and len(net.living) > 1:
            victim = rng.choice(net.living)
            victim.crash()
            net.at(rng.randrange(5_000), victim.start)
        net.run(rng.randrange(300))
    net.run(5_000)
    converge(net)
    for host in net.living:
        notes = host.held("notes")
        assert all(notes[key] == str(step) for key, step in acknowledged.items())
        assert host.value("prices", "sum") == counted
        assert len(host.held("trail#log")) == len(acknowledged)


def test_a_batch_that_is_lost_is_sent_again_though_the_one_before_it_is_acknowledged() -> None:
    net = cluster(2)
    one, two = net.living
    one.core.compare = two.core.compare = lambda peer: None  # type: ignore[method-assign]
    lost: list[int] = []

    def watch(a: str, b: str, message: Message) -> bool:
        if isinstance(message, Batch) and message.number == 2 and len(lost) < 2:
            lost.append(message.number)
            return False
        return True

    net.watch = watch
    one.call("put", "notes", "first", "x")
    one.call("put", "notes", "second", "y")
    net.run(10_000)
    assert lost == [2, 2]
    assert two.held("notes") == {"first": "x", "second": "y"}
    assert not one.core.journal.batches


def test_a_batch_leaves_when_it_is_durable_and_its_acknowledgement_too() -> None:
    net = cluster(2)
    one, two = net.living
    one._flush = lambda life: None  # type: ignore[method-assign]  # the disk of n1 stands still
    said: list[str] = []
    net.watch = lambda a, b, message: said.append(type(message).__name__) is None
    transaction = Transaction(one.app)
    found = one.engine.replicated("Shop.notes")
    assert found is not None
    transaction.write(found[0], "k", Entry("v"))
    one.engine.commit(transaction)
    one.drain()
    net.run(3_000)
    assert "Batch" not in said
    two._flush = lambda life: None  # type: ignore[method-assign]
    one.engine.flush()
    one.drain()
    net.run(500)
    assert two.value("notes", "k") == "v"
    assert "Received" not in said
    assert one.core.journal.batches
    two.engine.flush()
    two.drain()
    net.run(100)
    assert not one.core.journal.batches
