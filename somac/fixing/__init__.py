"""Repairs of source texts that need no judgement (`soma fix`, spec 3 §10)."""

from .edits import Edit, apply_edits
from .fixes import Fix, find_fixes

__all__ = ["Edit", "Fix", "apply_edits", "find_fixes"]
