"""Functions that take a lambda (builtins §7), and their twins that await it.

Errors of the lambda arrive as they were raised. `meant` is what the error for other operands
suggests: the name that a plain call comes nearest to, nothing after a pipe (builtins §1.4).
"""

from __future__ import annotations

from ..errors import type_error, undefined_function
from ..ops import truthy
from ..values.kinds import Value
from .arguments import Args, is_function, need
from .maps import make_map


def _operands(name: str, args: Args, meant: str | None = None) -> tuple[list[Value], Value]:
    """List and function of a call; other arguments mean that no such builtin exists."""
    if len(args) >= 2 and type(args[0]) is list and is_function(args[1]):
        return args[0], getattr(args[1], "fn", args[1])
    raise undefined_function(name, meant)


def items(name: str, xs: Value, meant: str | None = None) -> list[Value]:
    """What a comprehension goes over in the place of the builtin of that name."""
    if type(xs) is list:
        return xs
    raise undefined_function(name, meant)


def _is_mapping(args: Args) -> bool:
    return len(args) >= 2 and type(args[0]) is list and is_function(args[1])


def map_(*args: Value) -> Value:
    """`map(list, lambda)`; any other arguments are the keys and values of a new Map."""
    if not _is_mapping(args):
        return make_map(*args)
    xs, f = _operands("map", args)
    return [f(x) for x in xs]


def filter_(*args: Value, meant: str | None = None) -> list[Value]:
    xs, f = _operands("filter", args, meant)
    return [x for x in xs if truthy(f(x))]


def find(*args: Value, meant: str | None = None) -> Value:
    xs, f = _operands("find", args, meant)
    return next((x for x in xs if truthy(f(x))), None)


def any_(*args: Value, meant: str | None = None) -> bool:
    xs, f = _operands("any", args, meant)
    return any(truthy(f(x)) for x in xs)


def all_(*args: Value, meant: str | None = None) -> bool:
    xs, f = _operands("all", args, meant)
    return all(truthy(f(x)) for x in xs)


def count(*args: Value, meant: str | None = None) -> int:
    xs, f = _operands("count", args, meant)
    return sum(1 for x in xs if truthy(f(x)))


def reduce(*args: Value, meant: str | None = None) -> Value:
    """`reduce(list, initial, p => e)`: the lambda gets a Map of `acc` and `val`."""
    xs, acc, f = _reduce_operands(args, meant)
    for x in xs:
        acc = f({"acc": acc, "val": x})
    return acc


def _reduce_operands(args: Args, meant: str | None) -> tuple[list[Value], Value, Value]:
    if not any(map(is_function, args)):
        raise undefined_function("reduce", meant)
    need(args, 3, "reduce expects (list, initial, lambda)")
    if type(args[0]) is not list:
        raise type_error("reduce: first argument must be a list")
    if not is_function(args[2]):
        raise type_error("reduce: third argument must be a lambda")
    return args[0], args[1], getattr(args[2], "fn", args[2])


# --- twins for lambdas whose bodies await --------------------------------------------------------


async def map_async(*args: Value) -> Value:
    if not _is_mapping(args):
        return make_map(*args)
    xs, f = _operands("map", args)
    return [await f(x) for x in xs]


async def filter_async(*args: Value, meant: str | None = None) -> list[Value]:
    xs, f = _operands("filter", args, meant)
    return [x for x in xs if truthy(await f(x))]


async def find_async(*args: Value, meant: str | None = None) -> Value:
    xs, f = _operands("find", args, meant)
    for x in xs:
        if truthy(await f(x)):
            return x
    return None


async def any_async(*args: Value, meant: str | None = None) -> bool:
    xs, f = _operands("any", args, meant)
    for x in xs:
        if truthy(await f(x)):
            return True
    return False


async def all_async(*args: Value, meant: str | None = None) -> bool:
    xs, f = _operands("all", args, meant)
    for x in xs:
        if not truthy(await f(x)):
            return False
    return True


async def count_async(*args: Value, meant: str | None = None) -> int:
    xs, f = _operands("count", args, meant)
    hits = 0
    for x in xs:
        hits += truthy(await f(x))
    return hits


async def reduce_async(*args: Value, meant: str | None = None) -> Value:
    xs, acc, f = _reduce_operands(args, meant)
    for x in xs:
        acc = await f({"acc": acc, "val": x})
    return acc
