"""Causal memory: no node ever shows an effect without its cause; tokens; catching up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster_cells import CAUSAL_SHOP
from core_network import CoreNetwork, Host, cluster

from somart import SomaError
from somart.cluster.config import ClusterConfig
from somart.cluster.messages import Message


def causal(size: int, seed: int = 1, config: ClusterConfig | None = None) -> CoreNetwork:
    return cluster(size, seed, CAUSAL_SHOP, config)


def waited(host: Host, token: str) -> list[Any]:
    return host.ask(lambda done: host.core.wait_seen(token, done))


# --- order ---------------------------------------------------------------------------------------


def test_an_effect_waits_for_its_cause_on_a_third_node() -> None:
    net = causal(3)
    one, two, three = net.living
    net.watch = lambda a, b, message: (a, b) != ("n1", "n3")
    one.call("put", "notes", "question", "why?")
    net.run(50)
    assert two.value("notes", "question") == "why?"
    two.call("put", "notes", "answer", "because")
    net.run(500)
    assert three.held("notes") == {}
    assert three.core.inbox.waiting()
    net.watch = lambda a, b, message: True
    net.until(net.same)
    assert three.held("notes") == {"question": "why?", "answer": "because"}


def test_each_batch_states_only_what_is_new_to_its_stream() -> None:
    net = causal(3)
    said: list[Any] = []
    net.watch = lambda a, b, message: said.append((a, b, message)) is None
    net.hosts["n2"].call("put", "notes", "a", "1")
    net.run(50)
    net.hosts["n1"].call("put", "notes", "b", "2")
    net.hosts["n1"].call("put", "notes", "c", "3")
    net.run(50)
    origin = net.hosts["n2"].core.store.origin
    batches = [m for a, b, m in said if type(m).__name__ == "Batch" and (a, b) == ("n1", "n3")]
    assert [batch.depends.get(origin, 0) for batch in batches] == [1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_chains_of_causes_are_never_seen_broken(seed: int) -> None:
    """Link n of a chain is written by a node that has seen link n - 1: whoever shows a link must
    show all before it, at any time, under loss, cuts, crashes and a wipe."""
    net = causal(4, seed, replace(ClusterConfig(), journal_batches=20 if seed % 2 else 10_000))
    net.loss, net.twice, net.late = 0.05, 0.1, 0.3
    rng = net.rng
    chains = {f"chain{c}": 0 for c in range(3)}

    def check() -> None:
        for host in net.living:
            if not host.core.reads.serves("Shop.notes", 0):
                continue
            notes = host.held("notes")
            for chain in chains:
                links = [n for n in range(1, chains[chain] + 1) if f"{chain}/{n}" in notes]
                assert links == list(range(1, len(links) + 1)), (host.id, chain, links)

    wiped = False
    for step in range(150):
        host = rng.choice(net.living)
        chain = rng.choice(sorted(chains))
        last = chains[chain]
        serves = host.core.reads.serves("Shop.notes", 0)
        if serves and (last == 0 or host.value("notes", f"{chain}/{last}") is not None):
            chains[chain] += 1
            host.call("put", "notes", f"{chain}/{last + 1}", "x")
        if rng.random() < 0.05:
            ids = sorted(net.hosts)
            rng.shuffle(ids)
            net.cut(ids[:2], ids[2:])
            net.at(rng.randrange(8_000), net.heal)
        if rng.random() < 0.05 and len(net.living) > 2:
            victim = rng.choice(net.living)
            victim.crash()
            if not wiped and step > 100 and victim.id != "n1":
                wiped = True
                victim.disk.wipe()
            net.at(rng.randrange(8_000), victim.start)
        for _ in range(rng.randrange(1, 6)):
            net.run(60)
            check()
    net.loss = net.twice = net.late = 0.0
    net.heal()
    for host in net.hosts.values():
        host.start()
    net.until(lambda: check() is None and net.formed() and net.same(), 300_000)
    for host in net.living:
        for chain, last in chains.items():
            found = sum(key.startswith(f"{chain}/") for key in host.held("notes"))
            assert found == last or wiped


# --- tokens --------------------------------------------------------------------------------------


def test_a_client_reads_its_own_write_on_another_node_by_its_token() -> None:
    net = causal(3)
    net.watch = lambda a, b, message: type(message).__name__ != "Batch"
    net.hosts["n1"].call("put", "notes", "mine", "x")
    token = net.hosts["n1"].core.token()
    answers = waited(net.hosts["n2"], token)
    net.run(500)
    assert answers == []
    net.watch = lambda a, b, message: True
    net.run(1_400)
    assert answers == [None]
    assert net.hosts["n2"].value("notes", "mine") == "x"


def test_a_token_that_is_not_met_in_time_is_an_error_to_be_repeated() -> None:
    net = causal(2)
    net.cut(["n1"], ["n2"])
    net.hosts["n1"].call("put", "notes", "mine", "x")
    answers = waited(net.hosts["n2"], net.hosts["n1"].core.token())
    net.run(1_900)
    assert answers == []
    net.run(200)
    (error,) = answers
    assert isinstance(error, SomaError)
    assert error.kind == "Unavailable"


def test_tokens_are_checked_and_eventual_memory_needs_none() -> None:
    net = causal(2)
    for bad in ("%%%", "AAAA", "x" * 100):
        with pytest.raises(SomaError, match="not a token"):
            net.hosts["n1"].core.wait_seen(bad, lambda error: None)
    assert waited(net.hosts["n1"], "") == [None]
    plain = cluster(2)
    plain.hosts["n1"].call("put", "notes", "k", "v")
    assert plain.hosts["n1"].core.token() == ""


# --- catching up ---------------------------------------------------------------------------------


def test_a_joiner_serves_when_it_has_caught_up_and_not_before() -> None:
    net = causal(2)
    for n in range(30):
        net.living[n % 2].call("put", "notes", f"k{n}", str(n))
    net.run(2_000)

    def watch(one: str, other: str, message: Message) -> bool:
        return not type(message).__name__.startswith("Sync")

    net.watch = watch
    late = net.add("n3", "n1")
    net.run(3_000)
    assert not late.core.reads.serves("Shop.notes", 0)
    assert late.core.membership.me.ring == "joining"
    net.watch = lambda a, b, message: True
    net.until(lambda: net.formed() and net.same())
    assert late.core.reads.serves("Shop.notes", 0)
    assert late.core.seen.covers(net.hosts["n1"].core.causality.has())
    net.hosts["n2"].call("put", "notes", "more", "x")
    net.run(50)
    assert late.value("notes", "more") == "x"


def test_what_a_lost_disk_had_sent_to_one_reaches_all() -> None:
    net = causal(3)
    net.watch = lambda a, b, message: (a, b) != ("n1", "n3") or type(message).__name__ != "Batch"
    net.hosts["n1"].call("put", "notes", "cause", "x")
    net.run(50)
    net.hosts["n2"].call("put", "notes", "effect", "y")
    net.run(50)
    net.hosts["n1"].crash()
    net.hosts["n1"].disk.wipe()
    net.watch = lambda a, b, message: True
    net.hosts["n1"].start()
    net.until(lambda: net.formed() and net.same())
    assert net.hosts["n3"].held("notes") == {"cause": "x", "effect": "y"}


def test_a_full_journal_is_replaced_by_catching_up() -> None:
    net = causal(3, config=replace(ClusterConfig(), journal_batches=10))
    net.hosts["n3"].crash()
    for n in range(40):
        net.hosts["n1"].call("put", "notes", f"k{n}", str(n))
        net.run(20)
    net.hosts["n3"].start()
    net.until(net.same)
    assert len(net.hosts["n3"].held("notes")) == 40


def test_a_read_from_afar_waits_until_its_causes_are_here() -> None:
    """n1 reads an effect on its owner before n1 itself has the cause."""
    net = causal(4)
    reader = net.hosts["n1"]
    key = next(
        f"s{n}"
        for n in range(100)
        if "n1" not in reader.core.context.owners("Shop.stock", segment(f"s{n}"))
    )
    net.watch = lambda a, b, message: (a, b) != ("n2", "n1") or type(message).__name__ != "Batch"
    net.hosts["n2"].call("put", "notes", "cause", "x")
    net.run(50)
    net.hosts["n3"].call("put", "stock", key, 1)
    net.run(50)
    answers = reader.ask(lambda done: reader.core.get("Shop.stock", key, done))
    net.run(300)
    assert answers == []
    assert reader.value("notes", "cause") is None
    net.watch = lambda a, b, message: True
    net.run(1_500)
    assert answers[0].value == "1"
    assert reader.value("notes", "cause") == "x"


def segment(key: str) -> int:
    from somart.cluster.hashing import segment_of

    return segment_of(key)
