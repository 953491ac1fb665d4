"""`fix`: repairs in place of what needs no judgement, then a fresh check (spec 3 §10)."""

from __future__ import annotations

import json
import os
import stat
from functools import partial
from pathlib import Path

from ..fixing import Fix, apply_edits, find_fixes
from ..frontend.load import load, load_text, os_message
from .checking import check_program
from .process import with_deep_stack
from .terminal import report, report_diagnostics, say


def fix_program(path: str, as_json: bool) -> int:
    """`soma fix FILE [--json]`: 0 even when errors remain, 1 when the file cannot be mended."""
    return with_deep_stack(partial(_fix, path, as_json))


def _fix(path: str, as_json: bool) -> int:
    loaded = load(path)
    if report_diagnostics(loaded.diagnostics) or loaded.program is None:
        return 1
    fixes = find_fixes(loaded.program)
    if fixes:
        fixed = apply_edits(loaded.program.source.text, (e for f in fixes for e in f.edits))
        if load_text(fixed, path).program is None:
            report(f"the fixes would leave '{path}' unreadable: nothing was changed")
            return 1
        try:
            write_in_place(Path(path), fixed)
        except OSError as error:
            report(f"cannot write '{path}': {os_message(error)}")
            return 1
    if as_json:
        say(json_report(fixes, path))
    else:
        _tell(fixes, path)
    return 0


def _tell(fixes: tuple[Fix, ...], path: str) -> None:
    for fix in fixes:
        say(f"✓ {fix.message}")
    if fixes:
        say(f"✓ {len(fixes)} fix(es) applied, re-checking...")
    else:
        say("✓ nothing to fix, checking...")
    check_program(path)


def json_report(fixes: tuple[Fix, ...], path: str) -> str:
    """What was fixed and what is left, pretty, keys ascending."""
    from ..check import check
    from ..check.report import json_report as check_report
    from ..manifest import load_manifest
    from .checking import is_advice

    program = load(path).program
    left = check(program, load_manifest(path)[0]) if program is not None else ()
    remaining = json.loads(check_report([d for d in left if not is_advice(d)]))
    report = {
        "applied": len(fixes),
        "fixes": [{"kind": f.kind, "line": f.line, "message": f.message} for f in fixes],
        "remaining": remaining,
    }
    return json.dumps(report, indent=2, ensure_ascii=False)


def write_in_place(path: Path, text: str) -> None:
    """Replaces a file's content at once, so that a crash leaves the old or the new text.

    A link stays a link and the permissions stay. Raises OSError.
    """
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(text.encode("utf-8"))
        part.chmod(stat.S_IMODE(target.stat().st_mode))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
