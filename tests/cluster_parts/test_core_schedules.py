"""`every` and `after` in a cluster: the lowest live id leads, hand-over, and each `after` once."""

from __future__ import annotations

from core_network import cluster

from somart.cluster.messages import TimerRan
from somart.cluster.schedules import Schedules


def test_exactly_one_node_leads_and_the_next_one_takes_over() -> None:
    net = cluster(3)
    assert [host.core.schedules.leads for host in net.living] == [True, False, False]
    net.hosts["n1"].crash()
    net.until(lambda: net.hosts["n2"].core.schedules.leads)
    assert not net.hosts["n3"].core.schedules.leads
    net.hosts["n1"].start()
    net.until(net.formed)
    assert [host.core.schedules.leads for host in net.living] == [True, False, False]


def test_each_side_of_a_partition_has_a_leader() -> None:
    net = cluster(3)
    net.cut(["n1"], ["n2", "n3"])
    net.until(lambda: net.hosts["n2"].core.schedules.leads)
    assert [host.core.schedules.leads for host in net.living] == [True, True, False]


def test_an_after_runs_on_the_leader_alone_and_once() -> None:
    leader = "a"
    a, b = Schedules("a", lambda: leader), Schedules("b", lambda: leader)
    assert a.after_due("t")
    assert not a.after_due("t")  # it is running
    assert not b.after_due("t")
    b.heard(a.after_ran("t"))
    leader = "b"
    assert a.taken_over() == []
    assert b.taken_over() == []
    assert not b.after_due("t")


def test_a_new_leader_runs_what_was_due_and_not_announced() -> None:
    leader = "a"
    b = Schedules("b", lambda: leader)
    assert b.taken_over() == []
    assert not b.after_due("run")
    assert not b.after_due("lost")
    b.heard(TimerRan("run"))
    leader = "b"
    assert b.taken_over() == ["lost"]
    assert b.taken_over() == []
    assert not b.after_due("lost")
    assert b.after_ran("lost") == TimerRan("lost")
    assert b.announcements() == [TimerRan("run"), TimerRan("lost")]


def test_a_leader_that_comes_back_to_lead_runs_what_came_due_meanwhile() -> None:
    leader = "b"
    b = Schedules("b", lambda: leader)
    assert b.taken_over() == []
    leader = "a"
    assert b.taken_over() == []
    assert not b.after_due("t")
    leader = "b"
    assert b.taken_over() == ["t"]


def test_a_newcomer_learns_what_has_run() -> None:
    net = cluster(2)
    message = net.hosts["n1"].core.schedules.after_ran("t")
    net.hosts["n1"].do(lambda core: core.context.send("n2", message))
    late = net.add("n0", "n1")
    net.until(net.formed)
    assert late.core.schedules.leads
    assert not late.core.schedules.after_due("t")


def test_the_status_shows_members_lag_and_phase() -> None:
    net = cluster(3)
    status = net.hosts["n1"].core.status()
    assert status["node"] == "n1"
    assert status["leader"] == "n1"
    assert status["term"] is None
    members = status["members"]
    assert isinstance(members, list)
    assert [(m["id"], m["address"], m["status"]) for m in members] == [
        ("n1", "n1", "alive"),
        ("n2", "n2", "alive"),
        ("n3", "n3", "alive"),
    ]
    assert sum(m["share"] for m in members) == 1
    net.until(lambda: net.hosts["n1"].core.status()["phase"] == "distributed")
    net.hosts["n3"].crash()
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(20_000)
    status = net.hosts["n1"].core.status()
    assert status["phase"] == "partitioned"
    members = status["members"]
    assert isinstance(members, list)
    dead = members[2]
    assert (dead["status"], dead["outbox"], dead["linked"]) == ("dead", 1, False)
    assert dead["lag_ms"] == 20_000
    net.hosts["n3"].start()
    net.until(lambda: net.hosts["n1"].core.status()["phase"] == "recovering")
    net.until(lambda: net.hosts["n1"].core.status()["phase"] == "distributed")
    assert net.hosts["n1"].core.status()["outbox"] == 0


def test_a_single_node_is_single() -> None:
    net = cluster(1)
    assert net.hosts["n1"].core.status()["phase"] == "single"
    net.hosts["n1"].call("put", "notes", "k", "v")
    net.run(100)
    assert net.hosts["n1"].core.status()["outbox"] == 0
