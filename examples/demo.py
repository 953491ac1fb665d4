"""What Soma promises, in a minute: check, verify, build, serve, kill -9, restart, nothing lost; and
the same program on one node and on three.

Run it with `make demo`. It writes into a temporary folder, listens on loopback only, and ends
every process that it started. It exits with 1 when something is not as it should be.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from demo_cluster import QUICK, show_cluster
from demo_nodes import Node, shell, step

HERE = Path(__file__).resolve().parent
TRADES = 25


def book(node: Node, first: int, count: int) -> None:
    for number in range(first, first + count):
        trade = {"id": f"T{number:03}", "symbol": "ACME", "quantity": 10, "price": 40.0 + number}
        node.call("/book_trade", trade)
    for number in range(first, first + count, 5):
        node.call(f"/confirm/T{number:03}", {})
    print(f"booked {count} trades, confirmed every fifth")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="soma-demo-"))
    soma = shutil.which("soma") or "soma"
    source = str(HERE / "pricing" / "app.cell")
    try:
        step("The compiler checks the program, and its tests pass")
        shell(soma, "check", source)
        shell(soma, "test", source)
        step("An executed trade is never cancelled: proved, for every path")
        shell(soma, "verify", source)
        step("It becomes an ordinary Python package")
        shell(soma, "build", source, "-o", "dist/", cwd=folder)
        run_node(folder)
        step("The paper's six phases. Phase 1: the job queue is checked, verified and built")
        build_queue(soma, folder)
        show_cluster(folder)
        step("Done: on one node or on three, nothing that was acknowledged is lost")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_node(folder: Path) -> None:
    """A single node, killed in the middle of its work."""
    step("One node serves it")
    node = Node(folder, "app", "data")
    try:
        node.wait_ready()
        book(node, 0, TRADES)
        step("kill -9, in the middle of the day")
        node.kill()
        node = Node(folder, "app", "data", port=node.port)
        node.wait_ready()
        blotter = node.call("/blotter")
        confirmed = [trade for trade in blotter if trade["status"] == "confirmed"]
        print(f"after the restart: {len(blotter)} trades, {len(confirmed)} of them confirmed")
        if len(blotter) != TRADES or len(confirmed) != TRADES // 5:
            raise SystemExit("FAILED: trades were lost")
    finally:
        node.stop()


def build_queue(soma: str, folder: Path) -> None:
    """Builds the job queue, with intervals short enough to watch."""
    source = folder / "jobqueue.cell"
    shutil.copy(HERE / "jobqueue" / "app.cell", source)
    manifest = (HERE / "jobqueue" / "soma.toml").read_text(encoding="utf-8")
    (folder / "soma.toml").write_text(manifest + QUICK, encoding="utf-8")
    shell(soma, "check", str(source))
    shell(soma, "verify", str(source))
    shutil.rmtree(folder / "dist")
    shell(soma, "build", str(source), "-o", "dist/", cwd=folder)


if __name__ == "__main__":
    main()
