"""What `lint` prints (spec 3 §10). Pure functions of the findings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .findings import Lint


def json_report(lints: Sequence[Lint]) -> str:
    """`{"lints": […]}`, pretty, two blanks, keys ascending."""
    rows = [
        {
            "line": lint.line,
            "message": lint.message,
            "rule": lint.rule,
            "severity": lint.severity,
            "suggestion": lint.suggestion,
        }
        for lint in lints
    ]
    return json.dumps({"lints": rows}, indent=2, ensure_ascii=False)


def text_report(lints: Sequence[Lint], path: str) -> str:
    """One remark with its suggestion after the other, then a tally."""
    lines = []
    for lint in lints:
        lines.append(f"{lint.severity}: {lint.message} [{lint.rule}]")
        lines.append(f"  --> {path}:{lint.line}")
        lines.append(f"  = hint: {lint.suggestion}")
    lines.append(f"{len(lints)} lint(s)." if lints else "✓ No lints.")
    return "\n".join(lines)
