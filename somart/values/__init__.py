"""The values of Soma: their kinds, text, arithmetic, comparison and JSON form."""

from __future__ import annotations

from .compare import equal, equals_strictly, order
from .kinds import Lambda, Value, Variant, operator_kind, type_name
from .numbers import I64_MAX, I64_MIN, as_float, as_int, as_number, is_big, parse_float, parse_int
from .text import debug, quote, text

__all__ = [
    "I64_MAX",
    "I64_MIN",
    "Lambda",
    "Value",
    "Variant",
    "as_float",
    "as_int",
    "as_number",
    "debug",
    "equal",
    "equals_strictly",
    "is_big",
    "operator_kind",
    "order",
    "parse_float",
    "parse_int",
    "quote",
    "text",
    "type_name",
]
