"""The command line: the only part of somac that prints, exits or touches the file system.

`soma` and `somac` are the same program. Exit codes: 0 success, 1 a reported failure, 2 misuse of
the command line (spec 3 §10).
"""

from __future__ import annotations

import sys


def main() -> None:
    """The entry of the console scripts. Does not return."""
    from .process import explain_failure, leave, prepare_streams

    prepare_streams()
    try:
        code = run_command(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        code = explain_failure(error)
    leave(code)


def run_command(argv: list[str]) -> int:
    """Carries out one command line and returns its exit code.

    `check FILE` and `run FILE ARGS…` without options, the commands of scripts and editors, skip
    Typer: importing it costs more than checking a small program.
    """
    plain = not any(arg.startswith("-") for arg in argv)
    if plain and len(argv) >= 2 and argv[0] == "run":
        from .running import run_program

        return run_program(argv[1], argv[2:])
    if argv[:1] == ["check"] and len(argv) == 2 and plain:
        from .checking import check_program

        return check_program(argv[1])
    from .commands import invoke

    return invoke(argv)
