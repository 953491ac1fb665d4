"""The verifier: what a program's lifecycles, handlers and declarations prove (reference §5)."""

from .verify import verify

__all__ = ["verify"]
