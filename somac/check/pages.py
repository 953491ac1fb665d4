"""The documentation's page of diagnostics, from the catalogues: `python -m somac.check.pages`."""

from __future__ import annotations

import sys
from pathlib import Path

from ..frontend.codes import CODES as FRONTEND_CODES
from ..frontend.codes import CodeInfo
from .codes import CODES as CHECK_CODES

PAGE = Path("docs") / "diagnostics.md"
EXAMPLE_CHARACTERS_MAX = 500  # a longer example shows a limit; its text shows nothing

HEAD = """\
# Diagnostics

Every finding of the compiler has a code. `soma explain CODE` prints what stands here. This page is
written by `python -m somac.check.pages`; a test keeps it current.

* `E` errors: `check` exits with 1. `E0…` are syntax and files; such a program goes no further.
* `W` warnings and `N` notes: reported, exit code 0.
* `A` advice: on stderr, outside the tally of `check`.
"""


def page() -> str:
    """The text of docs/diagnostics.md."""
    infos = sorted({**FRONTEND_CODES, **CHECK_CODES}.values(), key=lambda info: info.code[1:])
    return "\n".join([HEAD, *(_entry(info) for info in infos)])


def _entry(info: CodeInfo) -> str:
    parts = [f"## {info.code}: {info.title}\n", f"{info.explanation}\n"]
    for label, example in (("Wrong", info.wrong), ("Right", info.right)):
        if 0 < len(example) <= EXAMPLE_CHARACTERS_MAX:
            parts.append(f"{label}:\n\n```text\n{example.strip()}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Writes the page below the current directory."""
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
