"""Starts pricing: `python -m app -p 8080`."""

from __future__ import annotations

import sys

from . import PROGRAM
from ._somart.node import main as run_node


def main() -> None:
    """Runs a node until it is stopped; the console command calls this."""
    sys.exit(run_node(PROGRAM, sys.argv[1:], built=True))


if __name__ == "__main__":
    main()
