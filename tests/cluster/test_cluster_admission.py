"""Who gets into a cluster of real nodes, and where a node refuses to listen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from authority import Authority
from processes import Cluster, until

from somart.cluster.options import TlsFiles

pytestmark = pytest.mark.slow

MakeCluster = Callable[[str], Cluster]


def secret(folder: Path, name: str) -> str:
    file = folder / name
    file.write_text(f"{name}-" * 8, encoding="utf-8")
    return str(file)


def test_a_wrong_secret_learns_and_changes_nothing(cluster: MakeCluster, tmp_path: Path) -> None:
    nodes = cluster("eventual")
    ours = secret(tmp_path, "ours")
    one = nodes.grow("--cluster-secret-file", ours)
    one.request("POST", "/put/a/1")
    stranger = nodes.add(name="stranger")
    wrong = secret(tmp_path, "wrong")
    stranger.start("--join", one.bus, "--cluster-secret-file", wrong)
    until(lambda: "cannot link with" in stranger.log, "it is refused")
    until(lambda: one.log.count("bus: refused 127.0.0.1") >= 1, "and that is told")
    ready = stranger.request("GET", "/__soma/ready")
    assert ready.status == 503
    assert ready.body["reason"] == "joining: no member answers yet"
    assert one.sees() == {"n1": "alive"}
    assert stranger.sees() == {"stranger": "alive"}
    stranger.stop()

    without = somac("cluster", "status", one.bus)
    assert without.returncode == 1
    assert "n1" not in without.stdout + without.stderr.replace(one.bus, "")
    assert somac("cluster", "status", one.bus, "--secret-file", ours).returncode == 0


def options(files: TlsFiles) -> list[str]:
    """Those of a node, and of the commands that ask one."""
    words = ("--tls-cert", str(files.certificate)), ("--tls-key", str(files.key))
    return [word for pair in words for word in pair] + ["--tls-ca", str(files.authority)]


def test_a_certificate_of_another_authority_learns_and_changes_nothing(
    cluster: MakeCluster, tmp_path: Path
) -> None:
    nodes = cluster("eventual")
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    one = nodes.grow(*options(ours.node("n1")))
    two = nodes.grow(*options(ours.node("n2")))
    nodes.settle()
    one.request("POST", "/put/a/1")
    until(lambda: two.get("/look/a")["result"] == 1, "n2 hears of it")

    foreign = theirs.node("stranger")
    forged = replace(foreign, authority=ours.file)  # it believes us, but we did not sign it
    for files in (foreign, forged):
        told = one.log.count("bus: refused 127.0.0.1: no TLS")
        stranger = nodes.add(name=f"stranger-{told}")
        stranger.start("--join", one.bus, *options(files))
        until(lambda node=stranger: "cannot link with" in node.log, "it is refused")
        until(lambda n=told: one.log.count("bus: refused 127.0.0.1: no TLS") > n, "that is told")
        assert stranger.log.count("cannot link with") == 1  # however often it has tried
        ready = stranger.request("GET", "/__soma/ready")
        assert (ready.status, ready.body["reason"]) == (503, "joining: no member answers yet")
        assert stranger.sees() == {stranger.name: "alive"}
        stranger.stop()
    assert one.sees() == two.sees() == {"n1": "alive", "n2": "alive"}

    asked = ("cluster", "status", one.bus)
    for given in ((), options(foreign), options(forged)):
        refused = somac(*asked, *given)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "n2" not in refused.stderr
    shown = somac(*asked, *options(ours.node("client")))
    assert shown.returncode == 0, shown.stderr
    assert "n2" in shown.stdout


def somac(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "somac", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_no_bus_on_other_addresses_without_protection(cluster: MakeCluster, tmp_path: Path) -> None:
    nodes = cluster("eventual")
    node = nodes.add()
    node.start("--host", "0.0.0.0")
    assert node.process is not None
    assert node.process.wait(timeout=20) == 1
    assert "the bus on 0.0.0.0 would let anybody in" in node.log
    for allowed in (("--insecure",), ("--cluster-secret-file", secret(tmp_path, "ours"))):
        node.start("--host", "0.0.0.0", *allowed)
        node.wait_ready()
        node.stop()


def test_others_do_not_see_the_cluster(cluster: MakeCluster) -> None:
    """The page of the members is for this machine only, like the status page."""
    nodes = cluster("eventual")
    here = nodes.add()
    here.start("--host", "0.0.0.0", "--insecure")
    here.wait_ready()
    address = outside_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    far = nodes.add(name="far", port=here.port, address=address)
    assert far.request("GET", "/__soma/cluster").status == 403
    assert far.request("GET", "/__soma/ready").status == 200
    assert here.status()["members"][0]["id"] == "n1"


def outside_address() -> str | None:
    """An address of this machine that is not loopback."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
