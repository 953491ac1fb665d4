"""Operators, comparison, truth and members: the tables of core §3.3-3.13."""

from __future__ import annotations

from typing import Any

import pytest

from somart import ops
from somart.errors import SomaError
from somart.values import I64_MAX, I64_MIN, Lambda, Variant, debug, text

NAN = float("nan")
INF = float("inf")
BIG = 10**20
F = Lambda("x", lambda x: x)


def err(message: str) -> SomaError:
    return SomaError(message)


ARITHMETIC = [
    ("div", 7, 2, "3.5"),
    ("div", 6, 2, "3"),
    ("div", -7, 2, "-3.5"),
    ("div", 6, -2, "-3"),
    ("div", I64_MIN, -1, str(2**63)),
    ("div", I64_MAX, 2, "4611686018427387904.0"),
    ("div", 99999999999999999999, 7, "14285714285714285714"),
    ("div", -BIG, 7, "-14285714285714285714"),
    ("div", 7, BIG, "0"),
    ("div", 1, 0, err("division by zero")),
    ("div", 1, 0.0, "inf"),
    ("div", -1.0, 0, "-inf"),
    ("div", 1, -0.0, "-inf"),
    ("div", 0, 0.0, "NaN"),
    ("mod", 7, 3, "1"),
    ("mod", -7, 3, "-1"),
    ("mod", 7, -3, "1"),
    ("mod", 7.5, 2, "1.5"),
    ("mod", -7.5, 2, "-1.5"),
    ("mod", 1.0, 0, "NaN"),
    ("mod", INF, 2, "NaN"),
    ("mod", 2.0, INF, "2.0"),
    ("mod", 1, 0, err("modulo by zero")),
    ("mod", -BIG, 7, "-2"),
    ("add", I64_MAX, 1, "9223372036854775808"),
    ("add", 0.1, 0.2, "0.30000000000000004"),
    ("add", 1, 0.5, "1.5"),
    ("add", [1], [2], "[1, 2]"),
    ("add", "a", "b", "ab"),
    ("add", 2**53 + 1, 0.0, "9007199254740992.0"),
    ("add", 2**64 + 2**12 - 1, 0.0, "18446744073709551616.0"),  # toward zero
    ("add", 10**400, 1.0, "inf"),
    ("add", "a", 1, err("cannot add String and Int: a + 1")),
    ("add", 1, BIG, str(BIG + 1)),
    ("add", "a", BIG, err(f"cannot add String and BigInt: a + {BIG}")),
    ("add", 1.0, "x", err('expected Float, got String("x")')),
    ("add", "x", 1.0, err('expected Float, got String("x")')),
    ("add", True, 1.0, err("expected Float, got Bool(true)")),
    ("add", None, 1.0, err("expected Float, got Unit")),
    ("add", True, True, err("invalid op for bools")),
    ("add", True, 1, err("cannot add Bool and Int: true + 1")),
    ("add", None, None, err("cannot add Null and Null: null + null")),
    ("add", {}, [1], err("cannot add Map and List: {} + [1]")),
    ("add", F, 1, err("cannot add Function and Int: <lambda(x)> + 1")),
    ("add", Variant("T", "A"), 1, err("cannot add Variant and Int: A + 1")),
    ("sub", "a", "b", err("invalid op for strings")),
    ("sub", [1], [1], err("invalid op for lists")),
    ("sub", 0, "x", err("cannot subtract Int and String: 0 - x")),
    ("mul", "a", 3, err("cannot multiply String and Int: a * 3")),
    ("mul", 3, [1], err("cannot multiply Int and List: 3 * [1]")),
    ("div", "a", 3, err("cannot divide String and Int: a / 3")),
    ("mod", "a", 3, err("cannot modulo String and Int: a % 3")),
    ("assign_div", 7, 2, "3"),
    ("assign_div", -7, 2, "-3"),
    ("assign_div", 7, 2.0, "3.5"),
    ("assign_div", 7, 0, err("division by zero")),
    ("int_div", 9, 3, "3"),
    ("int_div", 1, 0, err("division by zero")),
    ("int_mod", -9, 4, "-1"),
    ("trunc_div", -9, 4, "-2"),
    ("trunc_div", 9, 0, err("division by zero")),
]

V1 = Variant("T", "C", (2,))
COMPARISON = [
    ("eq", 1, 1.0, "true"),
    ("eq", None, None, "true"),
    ("ne", None, 1, "true"),
    ("eq", [1], None, "false"),
    ("lt", None, 1, "false"),
    ("ge", None, None, "false"),
    ("gt", "b", "a", "true"),
    ("eq", NAN, NAN, "false"),
    ("ne", NAN, NAN, "true"),
    ("le", NAN, 1, "false"),
    ("eq", 2**53 + 1, float(2**53), "false"),
    ("gt", 2**53 + 1, float(2**53), "true"),
    ("lt", BIG, INF, "true"),
    ("eq", True, True, "true"),
    ("eq", True, 1, err("cannot compare Bool and Int")),
    ("eq", 1, "1", err("cannot compare Int and String")),
    ("ne", BIG, "1", err("cannot compare BigInt and String")),
    ("eq", 1.5, "1", err('expected Float, got String("1")')),
    ("eq", [1], 1.5, err("expected Float, got List([Int(SomaInt(1))])")),
    ("lt", True, False, err("cannot order booleans")),
    ("lt", V1, V1, err("cannot order variants")),
    ("eq", F, F, err("cannot compare Function and Function")),
    ("eq", [1], {}, err("cannot compare List and Map")),
    ("lt", [1], [2], err("cannot compare List and List")),
    ("eq", [1, ["a"]], [1.0, ["a"]], "true"),
    ("eq", [1], ["1"], "false"),
    ("eq", [True], [1], "false"),
    ("eq", {"a": 1, "b": 2}, {"b": 2, "a": 1}, "true"),
    ("ne", {"a": 1}, {"a": 2}, "true"),
    ("ne", {"a": None}, {"b": None}, "true"),
    ("eq", V1, Variant("T", "C", (2,)), "true"),
    ("eq", V1, Variant("T", "C", (2.0,)), "false"),
    ("eq", V1, Variant("U", "C", (2,)), "false"),
    ("eq", V1, Variant("T", "C"), "false"),
    ("eq", Variant("T", "S", None, {"a": [1]}), Variant("T", "S", None, {"a": [1]}), "true"),
    ("ne", Variant("T", "S", None, {"a": 1}), Variant("T", "S", None, {"a": 2}), "true"),
    ("eq", V1, 1, err("cannot compare Variant and Int")),
    ("loose_eq", 1, "1", "false"),
    ("loose_ne", {}, "idle", "true"),
    ("matches", 2, 2.0, "true"),
    ("matches", "2", 2, "false"),
    ("matches", True, 1, "false"),
    ("matches", None, None, "true"),
]


@pytest.mark.parametrize(("op", "a", "b", "expected"), ARITHMETIC + COMPARISON)
def test_operator(op: str, a: Any, b: Any, expected: str | SomaError) -> None:
    if isinstance(expected, SomaError):
        with pytest.raises(SomaError) as caught:
            getattr(ops, op)(a, b)
        assert str(caught.value) == str(expected)
    else:
        assert text(getattr(ops, op)(a, b)) == expected


@pytest.mark.parametrize("v", [False, None, 0, "", []])
def test_false_values(v: Any) -> None:
    assert ops.truthy(v) is False


@pytest.mark.parametrize("v", [True, 1, 0.0, NAN, {}, BIG, "0", [0], F, Variant("T", "A")])
def test_true_values(v: Any) -> None:
    assert ops.truthy(v) is True


def test_not() -> None:
    assert (ops.not_(0), ops.not_(True), ops.not_(BIG)) == (True, False, False)
    with pytest.raises(SomaError, match="expected Bool, got Unit"):
        ops.not_(None)
    with pytest.raises(SomaError, match=r'expected Bool, got String\(""\)'):
        ops.not_("")


def test_negation_is_subtraction_from_zero() -> None:
    assert ops.neg(5) == -5
    assert text(ops.neg(0.0)) == "0.0"
    with pytest.raises(SomaError, match="cannot subtract Int and String: 0 - x"):
        ops.neg("x")


@pytest.mark.parametrize(
    ("v", "expected"),
    [
        ([1, 2], "[1, 2]"),
        ({"a": 1}, '[{"key": "a", "value": 1}]'),
        ("a\r\n\nb\n", '["a", "b"]'),
        ("ab", '["ab"]'),
        (5, "[5]"),
        (None, "[null]"),
    ],
)
def test_iterate(v: Any, expected: str) -> None:
    assert text(list(ops.iterate(v))) == expected


MAP = {"a": 1, "len": 9, "keys": 8}
MEMBERS = [
    (lambda: ops.field(MAP, "keys"), '["a", "len", "keys"]'),
    (lambda: ops.field(MAP, "values"), "[1, 9, 8]"),
    (lambda: ops.field(MAP, "len"), "3"),
    (lambda: ops.field(MAP, "size"), "3"),
    (lambda: ops.field(MAP, "zz"), "null"),
    (lambda: ops.field([1, 2], "first"), "1"),
    (lambda: ops.field([1, 2], "last"), "2"),
    (lambda: ops.field([], "last"), "null"),
    (lambda: ops.field([1], "zz"), "null"),
    (lambda: ops.field("héé", "len"), "3"),
    (lambda: ops.field("a", "zz"), "null"),
    (lambda: ops.field(None, "y"), err("cannot access field 'y' on Unit")),
    (lambda: ops.field(5, "y"), err("cannot access field 'y' on Int(SomaInt(5))")),
    (
        lambda: ops.field(Variant("T", "V"), "y"),
        err("cannot access field 'y' on " 'Variant { type_name: "T", variant: "V", fields: Unit }'),
    ),
    (lambda: ops.method(MAP, "get", ("a",)), "1"),
    (lambda: ops.method({"1": 2}, "get", (1,)), "2"),
    (lambda: ops.method(MAP, "get", ()), "null"),
    (lambda: ops.method(MAP, "has", ("a",)), "true"),
    (lambda: ops.method(MAP, "has", ()), "false"),
    (lambda: ops.method(MAP, "keys", ()), '["a", "len", "keys"]'),
    (lambda: ops.method([5], "get", (0,)), "5"),
    (lambda: ops.method([5], "get", (-1,)), "null"),
    (lambda: ops.method([5], "get", ("0",)), "null"),
    (lambda: ops.method([5], "len", ()), "1"),
    (lambda: ops.method("abc", "length", ()), "3"),
    (lambda: ops.method("a-b", "split", ("-",)), '["a", "b"]'),
    (lambda: ops.method("a-b", "split", (1,)), "null"),
    (lambda: ops.method(MAP, "len", (), "m"), err("'m' is not a memory slot (no storage backend)")),
    (
        lambda: ops.method([1], "map", (F,), "xs"),
        err("'xs' is not a memory slot (no storage backend)"),
    ),
    (lambda: ops.method([1], "foo"), err("no method 'foo' on List([Int(SomaInt(1))])")),
    (lambda: ops.call(F, 4, "g"), "4"),
    (lambda: ops.call(4, 4, "g"), err("undefined function: g")),
    (lambda: ops.record("P", {"class": 1}, b="x"), '{"_type": "P", "class": 1, "b": "x"}'),
    (lambda: ops.constraint(True), "true"),
    (lambda: ops.constraint(1), err("cannot compare Int and Bool")),
    (lambda: ops.ensure(0), err("require failed: ensure postcondition failed")),
    (lambda: ops.in_range(2.5, 1, 3), "true"),
    (lambda: ops.in_range(True, 0, 3), "false"),
    (lambda: ops.in_range("2", 0, 3), "false"),
    (lambda: ops.propagates({"error": "x"}), "true"),
    (lambda: ops.propagates({"error": None, "value": 1}), "false"),
    (lambda: ops.propagates("error"), "false"),
    (lambda: ops.unwrap({"error": None, "value": 1}), "1"),
    (lambda: ops.unwrap({"a": 1}), '{"a": 1}'),
    (lambda: ops.unwrap(7), "7"),
    (lambda: ops.succeeded(1), '{"value": 1, "error": null}'),
    (lambda: ops.failed(err("no")), '{"value": null, "error": "no"}'),
    (
        lambda: ops.failed(RecursionError()),
        '{"value": null, "error": "stack overflow (recursion depth exceeded)"}',
    ),
    (lambda: ops.fail(err("stop")), err("stop")),
]


@pytest.mark.parametrize(("thunk", "expected"), MEMBERS)
def test_members_and_control(thunk: Any, expected: str | SomaError) -> None:
    if isinstance(expected, SomaError):
        with pytest.raises(SomaError) as caught:
            thunk()
        assert str(caught.value) == str(expected)
    else:
        assert text(thunk()) == expected


def test_python_name_errors_become_undefined_variables() -> None:
    def unassigned() -> None:
        class_ += 1  # type: ignore[name-defined] # noqa: F821, F841

    with pytest.raises(UnboundLocalError) as caught:
        unassigned()
    assert ops.failed(caught.value)["error"] == "undefined variable: class"


def test_debug_form() -> None:
    values = [1, 1.5, 1e16, 1e-7, NAN, 'a"\n', True, {"k": 1}, None]
    assert debug(values) == (
        "List([Int(SomaInt(1)), Float(1.5), Float(1e16), Float(1e-7), Float(NaN), "
        'String("a\\"\\n"), Bool(true), Map({"k": Int(SomaInt(1))}), Unit])'
    )
