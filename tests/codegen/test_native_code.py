"""Native handlers: what becomes Python's own operators, and that compiling them stays linear."""

from __future__ import annotations

import time

import pytest

from somac.codegen import generate
from somac.frontend.load import load_text
from somac.manifest import Manifest


def module_of(body: str) -> str:
    """The generated module of a cell with these handlers."""
    loaded = load_text(f"cell C {{ {body} }}", "c.cell")
    assert loaded.program is not None, loaded.diagnostics
    return next(
        m.text for m in generate(loaded.program, Manifest()).modules if "class C(" in m.text
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("let i = 7 return i % 3", "return i % 3"),
        ("let i = 7 i = i - 9 return i % 3", "return native.int_mod(i, 3)"),
        ("return n % 3", "return native.int_mod(n, 3)"),
        ("return n % 3 == 0", "return n % 3 == 0"),
        ("return n % n == 0", "return native.int_mod(n, n) == 0"),
        ("let k = 0 return 9 / k", "return native.int_div(9, k)"),
        ("return band(n + 1, 255) / 2", "return ((n + 1) & 255) // 2"),
        ("return shl(1, n)", "return native.shl(1, n)"),
        ("return shl(n, 3)", "return n << 3"),
        ("return band(n, 1.5)", "return n & native.as_int(1.5)"),
        ("let b = buffer(9) return buf_get(b, n)", "return native.buf_get(b, n)"),
        ("let b = buffer(9) return buf_get(b, 2)", "return b[2]"),
        ("let b = buffer(9) buf_set(b, 2, n) return 0", "b[2] = n"),
        ("let b = buffer(9) buf_set(b, 2, 2.5) return 0", "b[2] = native.as_int(2.5)"),
        ("while n > 0 { n = n / 10 } return 0", "n = n // 10"),
        ("while 0 < n && true { n /= 10 } return 0", "n = n // 10"),
        ("let y = 5 y = y - 9 while n > y { n = n / 10 } return 0", "n = native.int_div(n, 10)"),
        ("if n >= 0 { n = n - 5 return n % 3 } return 0", "return native.int_mod(n, 3)"),
        ("if n >= 0 { while n < 9 { n -= 1 } return n % 3 } return 0", "native.int_mod(n, 3)"),
        ("let h = hashmap() hm_inc(h, n) return 0", "h[n] += 1"),
    ],
)
def test_operators(body: str, line: str) -> None:
    assert line in module_of(f"on f(n: Int) [native] {{ {body} }}")


def test_chains_of_natives_compile_in_linear_time() -> None:
    links = "".join(
        f"on f{i}(n: Int) [native] {{ return f{i + 1}(n) + f{i + 1}(n + 1) + f{i + 1}(n + 2) }}"
        for i in range(60)
    )
    started = time.perf_counter()
    text = module_of(links + "on f60(n: Int) [native] { return n * 0.5 }")
    assert "def _f0_native(self, n: int) -> float:" in text
    assert time.perf_counter() - started < 5


def test_mutual_recursion_has_the_kind_of_its_end() -> None:
    text = module_of(
        "on even(n: Int) [native] { if n == 0 { return true } return odd(n - 1) }"
        "on odd(n: Int) [native] { return !even(n) }"
    )
    assert "def _even_native(self, n: int) -> bool:" in text
