"""Packages that the nodes of these tests run: built once per worker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from machines import Network, small_disk
from processes import Cluster, build

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster_parts"))  # the authority

PROGRAM = """
cell Notes {
    memory {
        notes: Map<String, Int> [persistent]
        hits: Map<String, Int> [persistent]
        large: Map<String, String> [persistent]
    }
    scale { SCALE }
    on put(key: String, n: Int) { notes.set(key, n)  n }
    on look(key: String) { notes.get(key) ?? "nothing" }
    on drop(key: String) { notes.delete(key)  "gone" }
    on hit(key: String) { hits.set(key, (hits.get(key) ?? 0) + 1)  "ok" }
    on hits_of(key: String) { hits.get(key) ?? 0 }
    on fill(key: String, text: String) { large.set(key, text)  len(text) }
    on filled() { large.keys }
    on number() { next_id() }
    on all() { notes.keys }
}
"""
SCALES = {
    "eventual": "replicas: 5, shard: notes, consistency: eventual, tolerance: 4",
    "causal": "replicas: 5, consistency: causal",
    "strong": "replicas: 5, consistency: strong, tolerance: 2",
}

MakeCluster = Callable[[str], Cluster]
MakeDisk = Callable[[Path, int], None]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the program for a consistency, once."""
    built: dict[str, Path] = {}

    def of(consistency: str) -> Path:
        if consistency not in built:
            source = PROGRAM.replace("SCALE", SCALES[consistency])
            built[consistency] = build(source, tmp_path_factory.mktemp(consistency))
        return built[consistency]

    return of


@pytest.fixture
def cluster(package: Callable[[str], Path], tmp_path: Path) -> Iterator[MakeCluster]:
    """A cluster whose nodes end with the test."""
    with ExitStack() as stack:
        yield lambda consistency: stack.enter_context(Cluster(package(consistency), tmp_path))


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        made = Network()
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def disk() -> Iterator[MakeDisk]:
    """Puts a disk of so many megabytes in place of a folder."""
    with ExitStack() as stack:

        def make(folder: Path, megabytes: int) -> None:
            try:
                stack.enter_context(small_disk(folder, megabytes))
            except OSError as error:
                pytest.skip(f"cannot mount a small disk: {error}")

        yield make
