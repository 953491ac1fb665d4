"""`soma migrate --check`: what a new version does to the data of the old one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from somac.cli import run_command
from somac.cli.pipeline import compile_in_memory, read_runnable
from somac.migration import Finding, compare
from somart.cluster.identity import difference, digests_of
from somart.spec import ProgramSpec

OLD = """
cell type Level { variants { Low High(Int) } }

cell Jobs {
    memory {
        jobs: Map<String, String> [persistent]
        notes: Map<String, Level> [persistent]
        cache: Map<String, Int> [ephemeral]
    }
    state life {
        initial: queued
        queued -> running
        running -> done
        running -> failed
        failed -> queued
    }
    scale { replicas: 3, shard: jobs, consistency: eventual, tolerance: 1 }
    on submit(name: String) { jobs.set(name, "new") }
}

cell Bank {
    memory { accounts: Map<String, Int> [persistent] }
    scale { replicas: 3, consistency: strong }
    on open(name: String) { accounts.set(name, 0) }
}
"""


def compiled(folder: Path, text: str) -> ProgramSpec:
    file = folder / "app.cell"
    file.write_text(text, encoding="utf-8")
    unit = read_runnable(str(file))
    assert unit is not None
    return compile_in_memory(unit)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> ProgramSpec:
    return compiled(tmp_path_factory.mktemp("old"), OLD)


def changed(folder: Path, old: ProgramSpec, *changes: tuple[str, str]) -> tuple[Finding, ...]:
    text = OLD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return compare(old, compiled(folder, text))


ADDITIONS = {
    "a slot": (
        ("accounts: Map<String, Int> [persistent]",),
        "accounts: Map<String, Int> [persistent]\n owners: Map<String, String> [persistent]",
        "slot 'owners' of 'Bank' is new",
    ),
    "an arrow": (("failed -> queued",), "failed -> queued\n failed -> done", "failed -> done"),
    "a state": (("failed -> queued",), "failed -> queued\n failed -> lost", "state 'lost' is new"),
    "a cell": (
        ("cell Bank {",),
        "cell Log { memory { lines: Map<String, Int> [persistent] }\n"
        "scale { replicas: 2, consistency: eventual } on see() { return lines.len() } }\n"
        "cell Bank {",
        "cell 'Log' is new",
    ),
}


@pytest.mark.parametrize("kind", ADDITIONS)
def test_additions_are_rolled_out_node_by_node(kind: str, old: ProgramSpec, tmp_path: Path) -> None:
    (before,), after, said = ADDITIONS[kind]
    new = compiled(tmp_path, OLD.replace(before, after))
    found = compare(old, new)
    assert {one.weight for one in found} == {"adds"}
    assert any(said in one.text for one in found)
    assert difference(digests_of(old), digests_of(new)) is None


def test_handlers_and_local_slots_do_not_matter(old: ProgramSpec, tmp_path: Path) -> None:
    changes = [
        ("cache: Map<String, Int> [ephemeral]", "temporary: List<Int> [ephemeral]"),
        ("on open(name: String)", "on begin(name: String)"),
    ]
    assert changed(tmp_path, old, *changes) == ()


BREAKS = [
    (
        ("accounts: Map<String, Int>", "accounts: Map<String, String>"),
        "slot 'accounts' of 'Bank': Map<String, Int> is Map<String, String> now, "
        "and what is stored stays as it is",
    ),
    (
        ("accounts: Map<String, Int>", "accounts: List<Int>"),
        "slot 'accounts' of 'Bank': Map<String, Int> is List<Int> now, "
        "and what is stored stays as it is",
    ),
    (
        ("notes: Map<String, Level> [persistent]", ""),
        "slot 'notes' of 'Jobs' is gone: what is in it would be orphaned",
    ),
    (
        ("accounts: Map<String, Int> [persistent]", "accounts: Map<String, Int> [ephemeral]"),
        "slot 'accounts' of 'Bank' is no longer kept: what is in it would be orphaned",
    ),
    (
        ("running -> failed\n        failed -> queued", "running -> queued"),
        "machine 'life' of 'Jobs': instances in state 'failed' would be orphaned",
    ),
    (
        ("state life", "state course"),
        "machine 'life' of 'Jobs' is gone: its instances would be orphaned",
    ),
    (
        ("cell Bank", "cell Vault"),
        "cell 'Bank' is gone: what is in its slot 'accounts' would be orphaned",
    ),
    (
        ("consistency: eventual", "consistency: strong"),
        "consistency of 'Jobs': eventual is strong now",
    ),
    (
        ("shard: jobs", "shard: notes"),
        "shard of 'Jobs': jobs is notes now: keys would lie on the wrong nodes",
    ),
    (
        ("scale { replicas: 3, consistency: strong }", ""),
        "'Bank' is no longer scaled: each node would go its own way",
    ),
    (
        ("High(Int)", "Top(Int)"),
        "variant 'High' of 'Level' is gone: stored values of it match no arm",
    ),
]


@pytest.mark.parametrize(("change", "said"), BREAKS)
def test_what_breaks_data_comes_first_and_has_a_hint(
    change: tuple[str, str], said: str, old: ProgramSpec, tmp_path: Path
) -> None:
    found = changed(tmp_path, old, change)
    assert (found[0].weight, found[0].text) == ("breaks", said)
    assert found[0].hint


STOPS = [
    (("replicas: 3, consistency: strong", "replicas: 5, consistency: strong"), "of 'Bank': 3 is 5"),
    (("tolerance: 1", "tolerance: 2"), "tolerance of 'Jobs': 1 is 2 now"),
    (("consistency: eventual", "consistency: causal"), "eventual is causal now"),
    (("initial: queued", "initial: running"), "instances begin in 'running' now"),
    (
        ("Map<String, Int> [persistent]", "Map<String, Int> [persistent, ttl(1h)]"),
        "slot 'accounts' of 'Bank': [ttl(3600000)] is new",
    ),
]


@pytest.mark.parametrize(("change", "said"), STOPS)
def test_what_two_versions_cannot_run_side_by_side(
    change: tuple[str, str], said: str, old: ProgramSpec, tmp_path: Path
) -> None:
    new = compiled(tmp_path, OLD.replace(*change))
    found = compare(old, new)
    assert found[0].weight == "stop"
    assert said in found[0].text
    assert difference(digests_of(old), digests_of(new)) is not None


def test_a_state_without_a_way_out(old: ProgramSpec, tmp_path: Path) -> None:
    found = changed(tmp_path, old, ("failed -> queued", ""))
    assert [(one.weight, one.text, one.hint) for one in found] == [
        (
            "stop",
            "machine 'life' of 'Jobs': failed -> queued is gone",
            "instances in 'failed' would stay there for ever",
        )
    ]


def test_the_first_strong_cell_needs_a_new_cluster(tmp_path: Path) -> None:
    eventual = OLD[: OLD.index("cell Bank")]
    before, after = compiled(tmp_path, eventual), compiled(tmp_path, OLD)
    assert compare(before, after)[0].text == (
        "'Bank' is the first strong cell: a cluster that runs has no log for it"
    )
    assert "consensus is missing there" in (difference(digests_of(after), digests_of(before)) or "")


def test_names_may_widen_to_any_value(old: ProgramSpec, tmp_path: Path) -> None:
    found = changed(tmp_path, old, ("accounts: Map<String, Int>", "accounts: Map<String, Any>"))
    assert {one.weight for one in found} == {"stop"}


# --- the command ---------------------------------------------------------------------------------


def files(folder: Path, change: tuple[str, str]) -> list[str]:
    (folder / "old.cell").write_text(OLD, encoding="utf-8")
    (folder / "new.cell").write_text(OLD.replace(*change), encoding="utf-8")
    return ["migrate", "--check", str(folder / "old.cell"), str(folder / "new.cell")]


def test_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = files(tmp_path, ("accounts:", "balances:"))
    assert run_command(words) == 1
    assert capsys.readouterr().out.splitlines() == [
        "breaks: slot 'accounts' of 'Bank' is gone: what is in it would be orphaned",
        "  = hint: if 'balances' is its new name, keep both for one version, "
        "and copy in `on init()`",
        "adds: slot 'balances' of 'Bank' is new",
        "not compatible: 1 change breaks data",
    ]


@pytest.mark.parametrize(
    ("change", "last"),
    [
        (("", ""), "compatible: nodes can be upgraded one by one"),
        (("tolerance: 1", "tolerance: 2"), "compatible once all nodes have been stopped"),
    ],
)
def test_what_is_compatible(
    change: tuple[str, str], last: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(files(tmp_path, change)) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)


def test_json_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*files(tmp_path, ("failed -> queued", "failed -> done\nfailed -> queued")), "--json"]
    assert run_command(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rolling"] is True
    assert [one["weight"] for one in found["findings"]] == ["adds"]


def test_it_only_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, *names = files(tmp_path, ("", ""))
    assert run_command([command, *names]) == 2
    assert "add --check" in capsys.readouterr().err
