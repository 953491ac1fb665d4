"""The report: the worked example of the reference, its JSON, and the order of everything."""

from __future__ import annotations

import json

from verify_programs import PARCEL, PARCEL_TOML, machine, report_on

from somac.verify.data import json_report, summary
from somac.verify.output import replica_lines, step_lines, tally_lines, text_report
from somac.verify.report import Report

WORKED_EXAMPLE = """\

State machine 'parcel': 4 states, initial 'packed'
  States: [delivered, lost, packed, shipped]

  ✓ 4 states, 4 transitions
  ✓ all states reachable from 'packed'
  ✓ terminal states: [delivered]
  ✓ no deadlocks
  ✓ liveness: every state can eventually reach a terminal state
  ⚠ shipped -> delivered has no guard (consider adding a guard condition)
  ✓ think-isolated: CTL safety properties hold regardless of LLM output (3 handlers, 4 literal transitions, 0 dynamic)
  ✓ termination: all 3 handlers structurally terminate
  ✓ refinement: handler `ship` ⟶ {shipped}
  ✓ refinement: handler `close` ⟶ {delivered [if ok], lost [if not (ok)]}
  ✓ refinement: handler `retry` ⟶ {packed}

State machine 'Parcel/scale': 4 states, initial 'single'
  States: [single, distributed, partitioned, recovering]

  ✓ replicas: 3 instances declared
  ✓ tolerance: survives 1 node failures (of 3 replicas)
  ✓ shard: 'parcels' is a valid memory slot
  ✓ shard 'parcels' is [persistent] — data survives node restart
  ✓ consistency: strong — [consistent] memory 'parcels' with linearizable reads/writes
  ✓ CAP: CP mode — consistent + partition-tolerant (availability reduced during partitions)
  ✓ quorum: 2/3 nodes needed — tolerates 1 failures

17 passed, 1 warnings, 0 failures

  Temporal properties for 'parcel':
  ✓ deadlock_free — no deadlocks in any reachable state
  ✗ eventually(state in [delivered]) — exists a path that never satisfies the predicate
    counter-example: packed → shipped → lost → packed → ... cycle back to 'packed'
  ✗ after('shipped', state != 'packed') — after reaching 'shipped', predicate can be avoided
    counter-example: packed → shipped → lost → packed
"""  # noqa: E501


def test_the_worked_example_with_the_sound_answer() -> None:
    report = report_on(PARCEL, PARCEL_TOML)
    assert text_report(report) == WORKED_EXAMPLE
    assert tally_lines(report) == [
        "soma.toml: 3 user-defined properties loaded",
        "Temporal: 1 passed, 2 failed",
    ]
    assert not report.passed


def test_each_step_names_who_takes_it_and_where() -> None:
    report = report_on(PARCEL, PARCEL_TOML)
    assert step_lines(report)[:4] == [
        "steps of the counter-example to eventually(state in [delivered]):",
        "  packed → shipped: `ship` (app.cell:6)",
        "  shipped → lost: `close` (app.cell:8)",
        "  lost → packed: `retry` (app.cell:10)",
    ]


def test_each_step_of_a_witness_names_who_takes_it_and_where() -> None:
    report = report_on(PARCEL, '[verify]\nctl = { lost = "EF lost" }')
    assert step_lines(report) == [
        "steps of the witness to lost: EF(lost):",
        "  packed → shipped: `ship` (app.cell:6)",
        "  shipped → lost: `close` (app.cell:8)",
    ]


def test_the_calls_in_a_diagram_are_named_below_it() -> None:
    shown = replica_lines(report_on(FORKED, FORKED_TOML))
    at = next(number for number, line in enumerate(shown) if "can be lost" in line)
    assert shown[at + 6 : at + 8] == [
        "      open → executed: `execute`, `cancel` (app.cell:5)",
        "      open → cancelled: `cancel` (app.cell:6)",
    ]


def test_a_step_that_nobody_takes_is_shown_where_it_is_declared() -> None:
    report = report_on(machine("a -> b"), '[verify]\nnever = ["b"]')
    assert step_lines(report)[1] == "  a → b: no handler (app.cell:2)"


def test_json_has_the_documented_keys() -> None:
    text = json_report(report_on(PARCEL, PARCEL_TOML))
    data = json.loads(text)
    assert [key for key in data if key not in ("cluster", "replicas")] == [
        "passed",
        "state_machines",
        "temporal",
    ]
    first = data["state_machines"][0]
    assert list(first) == ["checks", "initial", "name", "states", "terminal_states"]
    assert first["checks"][5]["status"] == "warning"
    assert data["temporal"][0]["properties"][2] == {
        "counter_example": ["packed", "shipped", "lost", "packed"],
        "message": "after reaching 'shipped', predicate can be avoided",
        "passed": False,
        "property": "after('shipped', state != 'packed')",
        "steps": [
            {"file": "app.cell", "from": source, "handlers": [by], "line": line, "to": target}
            for source, target, by, line in [
                ("packed", "shipped", "ship", 6),
                ("shipped", "lost", "close", 8),
                ("lost", "packed", "retry", 10),
            ]
        ],
    }
    assert text == json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


FORKED = """\
cell Trades {
    memory { trades: Map<String, String> [persistent] }
    scale { replicas: 3 shard: trades consistency: eventual tolerance: 1 }
    state trade { initial: open  open -> executed  open -> cancelled }
    on execute(id: String) { transition(id, "executed") }
    on cancel(id: String, t: String) { transition(id, t) }
}
"""
FORKED_TOML = """\
[verify]
never = ["lost"]
[verify.after.executed]
never = ["cancelled"]
"""


def test_json_has_what_was_found_of_replicas_and_of_the_cluster() -> None:
    data = json.loads(json_report(report_on(FORKED, FORKED_TOML)))
    (replicas,), (cluster,) = data["replicas"], data["cluster"]
    assert (replicas["name"], cluster["name"]) == ("trade", "Trades/scale")
    assert replicas["title"].startswith("lifecycle 'trade' on replicas (consistency: eventual): ")
    (lost,) = [c for c in replicas["checks"] if "can be lost" in c["message"]]
    assert lost["status"] == "warning"
    assert lost["diagram"][0].split() == ["replica", "1", "replica", "2"]
    assert {check["status"] for check in cluster["checks"]} == {"pass"}
    assert [note.partition(":")[0] for note in data["notes"]] == ["cell 'Trades'"]
    assert [(w["level"], w.get("line")) for w in data["warnings"]] == [("warning", 4), ("note", 6)]
    assert data["warnings"][0]["file"] == "soma.toml"


def test_a_certificate_has_what_was_found_of_replicas_and_of_the_cluster() -> None:
    data = summary(report_on(FORKED, FORKED_TOML))
    (replicas,), (cluster,) = data["replicas"], data["cluster"]
    assert "diagram" not in json.dumps(data)
    assert {check["status"] for check in replicas["checks"]} >= {"fail", "warning"}
    assert {check["status"] for check in cluster["checks"]} == {"pass"}
    assert len(data["warnings"]) == 1
    parcel = summary(report_on(PARCEL, PARCEL_TOML))
    assert parcel["properties"][2]["steps"][1] == {
        "from": "shipped",
        "to": "lost",
        "handlers": ["close"],
        "file": "app.cell",
        "line": 8,
    }


def test_nothing_to_report() -> None:
    report = report_on("cell A { on f() { 1 } }")
    assert text_report(report) == ""
    assert json_report(report) == '{"state_machines":[], "temporal":[], "passed": true}\n'


def test_marks_are_coloured_only_when_asked() -> None:
    report = report_on(machine("a -> b"))
    assert "\x1b[32m✓\x1b[0m" in text_report(report, colour=True)
    assert "\x1b" not in text_report(report)


def test_blocks_come_in_the_order_of_the_cells() -> None:
    program = (
        "protocol P { roles: a = A, b = B  a -> b: hear(x) }\n"
        "cell A { state m { a -> b } scale { replicas: 2 } state n { c -> d } }\n"
        "cell B { on hear(x: Int) { x } interior { cell C { on f() { emit g() } } } }\n"
    )
    report = report_on(program)
    assert [block.name for block in report.blocks] == [
        "m",
        "n",
        "A/scale",
        "B/composition",
        "protocol/P",
    ]
    assert tally_lines(report)[-1].startswith("note: verification is per-cell")


def test_warnings_are_told_apart_from_failures() -> None:
    assert report_on(machine("a -> b")).warned
    assert report_on(machine("a -> b")).passed
    assert not Report().warned


def test_a_certificate_says_what_was_proved() -> None:
    data = summary(report_on(PARCEL, PARCEL_TOML))
    assert data["passed"] is False
    assert data["checks"] == {"pass": 17, "warning": 1, "fail": 0}
    assert [entry["passed"] for entry in data["properties"]] == [True, False, False]
    wrong = summary(report_on(PARCEL, "[verify]\nevntually = []"))
    assert wrong["mistakes"] == ["soma.toml: unknown key `evntually` in [verify]"]
    assert not wrong["passed"]
