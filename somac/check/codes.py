"""The checker's codes: `E` errors, `W` warnings, `N` notes, `A` advice outside the tally."""

from __future__ import annotations

from ..frontend.codes import CodeInfo
from . import codes_contracts, codes_memory, codes_names

CODES: dict[str, CodeInfo] = {
    info.code: info
    for table in (codes_memory.CODES, codes_contracts.CODES, codes_names.CODES)
    for info in table
}
