"""somac: the compiler for the cell language Soma (frontend → check/verify → codegen)."""

__version__ = "0.1.0"
