"""The six phases of the paper (§5.2) with real processes: 5, 10, 10, 15 and 15 jobs.

Every phase submits to, or asks, each node that runs. Node 2 is killed twice: it comes back with its
data, and with an empty disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from demo_nodes import Node, free_ports, step, wait_for

JOBS = 5
QUICK = """
[cluster]
heartbeat_ms = 500
dead_ms = 2500
"""


class Queue:
    """A cluster of job queues, and how many jobs it has taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[int, Node] = {}
        self.submitted = 0
        self._ports = {number: free_ports() for number in (1, 2, 3)}

    def start(self, number: int) -> None:
        """Starts a node; all but the first join."""
        others = [f"localhost:{self._ports[1] + 2}"] if number > 1 else []
        joining = [word for address in others for word in ("--join", address)]
        name = ("--node-id", f"node{number}")
        port = self._ports[number]
        node = Node(self.folder, "jobqueue", f"data{number}", *name, *joining, port=port)
        self.nodes[number] = node
        node.wait_ready()

    def submit(self, *numbers: int) -> None:
        """Submits `JOBS` jobs to the nodes in turn, each with an id of its own."""
        for index in range(JOBS):
            number = numbers[index % len(numbers)]
            self.submitted += 1
            name = f"J{self.submitted}"
            answer = self.nodes[number].call("/submit", {"id": name, "task": "resize"})
            if answer["status"] != "queued":
                raise SystemExit(f"FAILED: node {number} answered {answer} to {name}")
        print(f"submitted {JOBS} jobs to node {' and '.join(map(str, numbers))}")

    def see(self, count: int) -> None:
        """Checks that every node sees so many jobs, the same ones, each once."""
        expected = sorted(f"J{number}" for number in range(1, count + 1))
        for number, node in self.nodes.items():

            def agrees(node: Node = node) -> bool:
                return bool(node.call("/stats")["jobs"] == count)

            wait_for(agrees, f"node {number} sees {count} jobs", 10)
            found = sorted(name for name in expected if node.call(f"/job/{name}")["id"] == name)
            if found != expected:
                raise SystemExit(f"FAILED: node {number} has {found}, not {expected}")
            print(f"✓ node {number} sees {count} jobs, J1 to J{count}")

    def members(self, **expected: str) -> None:
        """Checks how node 1 sees the members."""

        def seen() -> dict[str, str]:
            found = self.nodes[1].call("/__soma/cluster")["members"]
            return {member["id"]: member["status"] for member in found}

        wait_for(lambda: seen() == expected, f"node 1 sees {expected}")
        shown = ", ".join(f"{name} {status}" for name, status in expected.items())
        print(f"✓ members: {shown}")

    def kill(self, number: int) -> None:
        """SIGKILL."""
        node = self.nodes.pop(number)
        node.kill()
        print(f"$ kill -9 {node.process.pid}   # node {number}")

    def stop(self) -> None:
        """Ends all nodes; checks that they do so in time."""
        for node in self.nodes.values():
            node.stop()


def show_cluster(folder: Path, counts: tuple[int, ...] = (5, 10, 10, 15, 15)) -> None:
    """Raises SystemExit when anything is not as the paper says."""
    queue = Queue(folder)
    try:
        step("Phase 2: a single node takes 5 jobs")
        queue.start(1)
        queue.submit(1)
        queue.see(counts[0])
        step("Phase 3: node 2 joins with one flag; 5 more jobs there, and both see 10")
        queue.start(2)
        queue.submit(2)
        queue.see(counts[1])
        step("Phase 4: node 3 joins and sees 10")
        queue.start(3)
        queue.see(counts[2])
        queue.members(node1="alive", node2="alive", node3="alive")
        step("Phase 5: node 2 is killed; the others take 5 more and see 15")
        queue.kill(2)
        queue.submit(3, 1)
        queue.see(counts[3])
        queue.members(node1="alive", node2="dead", node3="alive")
        step("Phase 6: node 2 comes back with its data, and sees 15")
        queue.start(2)
        queue.see(counts[4])
        queue.members(node1="alive", node2="alive", node3="alive")
        step("Phase 6 again: node 2 is killed and loses its disk; it comes back empty, and sees 15")
        queue.kill(2)
        shutil.rmtree(folder / "data2")
        queue.start(2)
        queue.see(counts[4])
        queue.members(node1="alive", node2="alive", node3="alive")
    finally:
        queue.stop()
