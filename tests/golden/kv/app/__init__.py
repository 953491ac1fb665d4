"""kv, compiled by somac 0.1.0 from app.cell."""

from .program import PROGRAM

__all__ = ["PROGRAM"]
