"""Generation of Python code."""

from __future__ import annotations

from .generate import Generated, GeneratedModule, generate
from .in_memory import load_in_memory

__all__ = ["Generated", "GeneratedModule", "generate", "load_in_memory"]
