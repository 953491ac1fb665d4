"""Scale sections, interiors and protocols (reference §5.8, §5.9)."""

from __future__ import annotations

import pytest
from verify_programs import lines, machine, report_on

from somac.frontend import nodes as n
from somac.frontend.load import load_text
from somac.frontend.program import sections
from somac.verify.distribution import NOT_ENFORCED, distribution_block, plan_of
from somac.verify.output import note_lines
from somart.capabilities import CAPABILITIES, delivers

SLOTS = "memory { s: Map<String, Int> [persistent, consistent] l: Map<String, Int> [local] }"


def scaled(scale: str, slots: str = SLOTS, more: str = "") -> list[str]:
    """The lines when the runtime delivers everything: those of the paper."""
    program = load_text(f"cell A {{ {slots} scale {{ {scale} }} {more} }}").program
    assert program is not None
    block = distribution_block(program.cells[0], lambda name: True)
    assert block is not None
    letters = {"pass": "P", "warning": "W", "fail": "F"}
    return [f"{letters[check.status]} {check.message}" for check in block.checks]


def test_the_lines_of_the_paper_once_all_is_delivered() -> None:
    found = scaled("replicas: 50 shard: s consistency: strong tolerance: 2", more="every 30s { 1 }")
    assert found == [
        "P replicas: 50 instances declared",
        "P tolerance: survives 2 node failures (of 50 replicas)",
        "P shard: 's' is a valid memory slot",
        "P shard 's' is [persistent] — data survives node restart",
        "P consistency: strong — [consistent] memory 's' with linearizable reads/writes",
        "P CAP: CP mode — consistent + partition-tolerant"
        " (availability reduced during partitions)",
        "P scheduler: 'every' blocks run on leader node only (leader = lowest node ID)",
        "P quorum: 26/50 nodes needed — tolerates 24 failures",
        "P memory 'l' is node-local — not distributed (fast path)",
    ]


def test_what_the_runtime_does_not_do_is_no_pass() -> None:
    program = f"cell A {{ {SLOTS} scale {{ replicas: 3 shard: s tolerance: 1 }} every 1s {{ 1 }} }}"
    found = lines(report_on(program))
    unkept = [line for line in found if line.endswith(NOT_ENFORCED)]
    assert all(line.startswith("W ") for line in unkept)
    promised = {"replication": "tolerance", "strong": "consistency", "leader": "scheduler"}
    for capability, word in promised.items():
        assert any(line.startswith(f"W {word}") for line in unkept) != delivers(capability)


def test_one_replica_keeps_every_promise_by_itself() -> None:
    found = lines(report_on(f"cell A {{ {SLOTS} scale {{ replicas: 1 }} every 1s {{ 1 }} }}"))
    assert all(line.startswith("P ") for line in found)


@pytest.mark.parametrize(
    ("scale", "line"),
    [
        ("replicas: 0", "F replicas must be > 0"),
        ("replicas: 3 tolerance: 3", "F tolerance (3) must be < replicas (3)"),
        ("replicas: 3", "P no shard declared — all memory replicated to all nodes"),
        ("replicas: 3 shard: x", "F shard 'x' is not a declared memory slot"),
        (
            "replicas: 4 shard: s tolerance: 2",
            "F tolerance (2) exceeds maximum for strong consistency quorum (1/4)",
        ),
        (
            "replicas: 3 shard: s consistency: causal",
            "P consistency: causal — operations on 's' respect causal ordering",
        ),
        (
            "replicas: 3 shard: s consistency: causal tolerance: 1",
            "P CAP: causal consistency — weaker than linearizable, stronger than eventual",
        ),
        (
            "replicas: 3 shard: s consistency: eventual",
            "W consistency: eventual — reads from 's' may return stale data after writes",
        ),
        (
            "replicas: 3 shard: s consistency: eventual tolerance: 1",
            "P CAP: AP mode — available + partition-tolerant"
            " (consistency relaxed during partitions)",
        ),
        (
            "replicas: 3 shard: l",
            "W consistency: strong — all reads/writes to 'l' are linearizable"
            " — on each node by itself: they do not share it",
        ),
        (
            "replicas: 1 shard: l",
            "P consistency: strong — all reads/writes to 'l' are linearizable",
        ),
    ],
)
def test_lines_of_a_scale_section(scale: str, line: str) -> None:
    assert line in scaled(scale)


def test_an_ephemeral_shard() -> None:
    found = scaled("replicas: 3 shard: e", "memory { e: Map<String, Int> [ephemeral] }")
    assert (
        "W shard 'e' is [ephemeral] — data lost on node failure"
        " (tolerance provides no durability guarantee)"
    ) in found


@pytest.mark.parametrize(
    ("scale", "behind"),
    [
        ("replicas: 4 shard: s tolerance: 2", " — with a quorum of 3, only 1"),
        ("replicas: 4 tolerance: 2", " — with a quorum of 3, only 1"),
        (
            "replicas: 4 shard: e consistency: eventual tolerance: 2",
            " — not the data of 'e', which is on one node only",
        ),
        (
            "replicas: 4 shard: l consistency: causal tolerance: 2",
            " — not the data of 'l', which is on one node only",
        ),
        ("replicas: 5 shard: s tolerance: 2", None),
        ("replicas: 4 shard: s consistency: eventual tolerance: 2", None),
    ],
)
def test_tolerance_is_no_pass_where_nothing_survives(scale: str, behind: str | None) -> None:
    found = scaled(scale, f"{SLOTS} memory {{ e: Map<String, Int> [ephemeral] }}")
    line = f"tolerance: survives 2 node failures (of {scale[10]} replicas)"
    assert found[1] == (f"P {line}" if behind is None else f"W {line}{behind}")


@pytest.mark.parametrize("replicas", [50, 5000])
def test_the_arithmetic_of_majorities(replicas: int) -> None:
    program = load_text(f"cell A {{ {SLOTS} scale {{ replicas: {replicas} shard: s }} }}").program
    assert program is not None
    plan = plan_of(sections(program.cells[0], n.Scale)[0])
    assert 2 * plan.quorum > replicas >= 2 * (plan.quorum - 1)
    assert any(
        f"quorum: {plan.quorum}/{replicas}" in line
        for line in scaled(f"replicas: {replicas} shard: s")
    )


def test_capabilities_say_what_they_promise() -> None:
    assert all(capability.promise for capability in CAPABILITIES.values())
    assert delivers("durable")
    with pytest.raises(KeyError):
        delivers("telepathy")


# --- composition ---------------------------------------------------------------------------------


def composition(children: str, parent: str = "") -> list[str]:
    report = report_on(f"cell P {{ {parent} interior {{ {children} }} }}")
    return lines(report) if report.blocks else []


SENDER = "cell A { on go() { emit ping(1) emit ping(2) } }"


def test_matched_signals_are_counted_once() -> None:
    parent = "face { signal go() } on go() { 1 }"
    found = composition(f"{SENDER} cell B {{ on ping(n: Int) {{ n }} }}", parent)
    assert found == ["P composition: 1 signal pairs verified, 0 undelivered, 0 orphans"]


def test_lost_signals_and_orphans() -> None:
    found = composition(f"{SENDER} cell B {{ on pong(n: Int) {{ n }} on _own() {{ 1 }} }}")
    assert found == [
        "W composition: cell 'A' emits signal 'ping' but no sibling handles it",
        "W composition: cell 'A' handles signal 'go' but no sibling emits it and parent face"
        " doesn't expose it",
        "W composition: cell 'B' handles signal 'pong' but no sibling emits it and parent face"
        " doesn't expose it",
    ]


def test_the_parent_emits_and_delegates() -> None:
    parent = 'runtime { emit go() emit lost() } on f() { delegate("B", "ping", 1) }'
    found = composition("cell A { on go() { 1 } } cell B { on ping(n: Int) { n } }", parent)
    assert found == [
        "P composition: 1 signal pairs matched",
        "W composition: cell '(parent)' emits signal 'lost' but no sibling handles it",
    ]


def test_an_interior_without_signals_has_no_block() -> None:
    assert composition("cell A { memory { s: Map<String, Int> [ephemeral] } }") == []


# --- protocols -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ("x -> y: hear(a)", ["P protocol 'T': 1 steps all match"]),
        (
            "x -> y: hear(a) x -> z: hear(a)",
            ["F protocol 'T': role 'z' is not declared in `roles:`"],
        ),
        ("x -> y: shout(a)", ["F protocol 'T': role 'y' (cell 'B') has no handler for 'shout'"]),
        (
            "x -> y: hear(a, b)",
            ["F protocol 'T': message 'hear' declares 2 arg(s), handler expects 1"],
        ),
    ],
)
def test_protocols(steps: str, found: list[str]) -> None:
    program = f"protocol T {{ roles: x = A, y = B {steps} }} cell A {{ on f() {{ 1 }} }}"
    report = report_on(f"{program} cell B {{ on hear(a: Int) {{ a }} }}")
    assert lines(report) == found
    assert report.blocks[0].name == "protocol/T"


def test_protocols_stand_behind_all_cells() -> None:
    program = "protocol T { roles: x = A x -> x: f() } " + machine("a -> b", "on f() { 1 }")
    assert [block.name for block in report_on(program).blocks] == ["m", "protocol/T"]


EVERY, AFTER = "every 1s { 1 }", "after 1s { 1 }"
VIEW = " on the lowest live id in a node's own view: in a partition on each side"
LOG = " on the leader of the log, whichever node that is: what is due takes effect once"


@pytest.mark.parametrize(
    ("scale", "blocks", "start"),
    [
        ("replicas: 3", EVERY, f"`every` runs{LOG}"),
        ("replicas: 3 consistency: strong", EVERY + AFTER, f"`every` and `after` run{LOG}"),
        ("replicas: 3 consistency: causal", EVERY, f"`every` runs{VIEW}"),
        ("replicas: 2 consistency: eventual", AFTER, f"`after` runs{VIEW}"),
    ],
)
def test_a_note_says_which_node_runs_the_blocks(scale: str, blocks: str, start: str) -> None:
    report = report_on(f"cell A {{ {SLOTS} scale {{ {scale} }} {blocks} }}")
    assert [note.startswith(f"cell 'A': {start}") for note in report.notes] == [True]
    assert note_lines(report) == [f"note: {report.notes[0]}"]


@pytest.mark.parametrize("consistency", ["causal", "eventual"])
def test_a_note_says_what_a_node_that_dies_takes_along(consistency: str) -> None:
    scale = f"scale {{ replicas: 3 shard: s consistency: {consistency} tolerance: 1 }}"
    report = report_on(f"cell A {{ {SLOTS} {scale} }}")
    start = f"cell 'A': under `consistency: {consistency}` a node acknowledges a write before"
    assert [note.startswith(start) for note in report.notes] == [True]


@pytest.mark.parametrize(
    "rest",
    [
        "scale { replicas: 3 }",
        "scale { replicas: 3 tolerance: 1 }",
        f"scale {{ replicas: 1 consistency: eventual }} {EVERY}",
        EVERY,
    ],
)
def test_where_one_node_runs_all_or_there_is_no_block_there_is_no_note(rest: str) -> None:
    assert report_on(f"cell A {{ {SLOTS} {rest} }}").notes == ()
