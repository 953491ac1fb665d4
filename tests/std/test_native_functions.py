"""What `[native]` handlers call: the differences from ordinary builtins (core §6, builtins §20)."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import pytest

from somart import native
from somart.errors import SomaError

BIG = 10**30


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda: native.div(-7, 2), -3),
        (lambda: native.div(7.0, 2), 3.5),
        (lambda: native.div(1.0, 0), math.inf),
        (lambda: native.mod(-7, 3), -1),
        (lambda: native.mod(-7.5, 2), -1.5),
        (lambda: native.band(BIG, BIG - 1), BIG & (BIG - 1)),
        (lambda: native.shl(1, 100), 2**100),
        (lambda: native.shr(2**100, 99), 2),
        (lambda: native.bnot(BIG), ~BIG),
        (lambda: native.bit_test(2**90, 90), 1),
        (lambda: native.bit_set(0, 90), 2**90),
        (lambda: native.bit_clr(2**90 + 1, 90), 1),
        (lambda: native.bit_next(2**90, 3), 90),
        (lambda: native.bit_next(8, 4), -1),
        (lambda: native.bit_len(2**90), 91),
        (lambda: native.gcd(BIG, 15), 5),
        (lambda: native.sqrt_int(BIG), 10**15),
        (lambda: native.pow_mod(3, BIG, 7), pow(3, BIG, 7)),
        (lambda: native.abs(-BIG), BIG),
        (lambda: native.min(BIG, 2), 2),
        (lambda: native.max(1.5, 2.5), 2.5),
        (lambda: native.pow(2, 3), 8.0),
        (lambda: native.as_int(-2.9), -2),
        (lambda: native.as_int(1e300), 2**63 - 1),
        (lambda: native.as_int(math.nan), 0),
        (lambda: native.as_int(BIG), BIG),
        (lambda: native.as_float(2), 2.0),
        (lambda: native.as_bool(2), True),
        (lambda: native.len("é"), 2),
        (lambda: native.len([1, 2]), 2),
        (lambda: native.to_string(2.0), "2"),
        (lambda: native.to_string(2.5), "2.5"),
        (lambda: native.to_int("12"), 12),
        (lambda: native.to_int("x"), 0),
        (lambda: native.to_float("1.5"), 1.5),
        (lambda: native.read_file("/nowhere"), ""),
        (lambda: native.regex_count("a1b22", "[0-9]+"), 2),
        (lambda: native.regex_match("abc", "b"), 1),
        (lambda: native.regex_match("abc", "^b"), 0),
        (lambda: native.regex_replace("a1b2", r"([a-z])(\d)", "$2${1}$$$9"), "1a$2b$"),
        (lambda: native.sin(0), 0.0),
        (lambda: native.cos(0), 1.0),
        (lambda: list(native.range(1, 3)), [1, 2]),
        (lambda: native.nth([7], 0), 7),
    ],
)
def test_native(result: Callable[[], Any], expected: Any) -> None:
    value = result()
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: native.div(1, 0), "division by zero"),
        (lambda: native.mod(1, 0), "modulo by zero"),
        (lambda: native.sqrt_int(-1), "sqrt_int: negative argument"),
        (lambda: native.buf_get(native.buffer(2), 2), "buffer index 2 out of range"),
        (lambda: native.buf_set_f(native.buffer_f(2), -1, 1.0), "buffer index -1 out of range"),
        (lambda: native.buffer(-1), "buffer: size -1 is out of range"),
        (lambda: native.regex_count("a", "("), "regex: "),
    ],
)
def test_native_errors(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(SomaError, match=f"^{message}"):
        call()


def test_buffers() -> None:
    numbers = native.buffer(2)
    native.buf_set(numbers, 1, BIG)
    assert [native.buf_get(numbers, i) for i in range(2)] == [0, BIG]
    floats = native.buffer_f(1)
    assert native.buf_get_f(floats, 0) == 0.0
    assert native.len(floats) == 1


def test_hash_maps() -> None:
    counts = native.hashmap()
    assert (native.hm_get(counts, 5), native.hm_has(counts, 5), native.hm_len(counts)) == (0, 0, 0)
    native.hm_inc(counts, 5)
    native.hm_inc(counts, 5, 3)
    native.hm_set(counts, 6, 1)
    assert (native.hm_get(counts, 5), native.hm_has(counts, 5), native.hm_len(counts)) == (4, 1, 2)


def test_text_buffers_count_bytes_and_empty_themselves() -> None:
    b = native.strbuf(16)
    native.sb_push(b, "é")
    native.sb_push_int(b, -7)
    native.sb_push_char(b, 65)
    native.sb_push_char(b, -1)
    assert native.sb_len(b) == 2 + 2 + 1 + 3
    assert native.sb_finish(b) == "é-7A\ufffd"
    assert (native.sb_len(b), native.sb_finish(b)) == (0, "")


def test_streams(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\nb"))
    native.write_str(native.read_stdin())
    assert capsys.readouterr().out == "a\nb"
