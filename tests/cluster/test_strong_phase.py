"""What nodes with strong cells show of themselves agrees with what they take."""

from __future__ import annotations

from conftest import MakeCluster
from processes import until


def test_a_majority_goes_on_and_a_minority_says_that_it_is_partitioned(
    cluster: MakeCluster,
) -> None:
    nodes = cluster("strong")
    one, two, three = nodes.of(3)
    until(
        lambda: all(n.request("POST", "/hit/page").status == 200 for n in nodes.nodes), "all take"
    )
    until(lambda: all(n.status()["phase"] == "distributed" for n in nodes.nodes), "all are well")
    until(lambda: len(one.status()["consensus"]["voters"]) == 3, "all vote")
    three.kill()
    until(lambda: one.sees()["n3"] == two.sees()["n3"] == "dead", "n3 is dead to the others")
    for node in (one, two):
        assert node.status()["phase"] == "distributed"
        until(lambda node=node: node.request("POST", "/hit/page").status == 200, "it takes writes")
    two.kill()
    until(lambda: one.status()["phase"] == "partitioned", "n1 is alone")
    refused = one.request("POST", "/hit/page")
    assert (refused.status, refused.body["definite"]) == (503, True)
    assert refused.body["error"] == "no quorum: 1 of 3 that vote can be reached"
    two.start()
    three.start()
    until(lambda: all(n.ready() for n in nodes.nodes), "all are back")
    assert {node.status()["phase"] for node in nodes.nodes} == {"distributed"}
    assert one.request("POST", "/hit/page").status == 200
