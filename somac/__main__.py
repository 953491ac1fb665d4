"""`python -m somac` is the command `somac`."""

from .cli import main

main()
