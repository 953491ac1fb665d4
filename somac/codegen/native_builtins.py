"""Builtins in `[native]` handlers: Python's own operators where they mean the same (core §6)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from ..frontend import nodes as n
from . import kinds as k
from .literals import floating
from .lowering import ATOM, COMPARE, SIGN, Dest, Ex
from .native_kinds import SCALARS, NativeKinds
from .native_signs import ANY, NATURAL, Signs
from .routines import BuiltinCall
from .statements import RoutineLowering

_OPERATORS = {"band": "&", "bor": "|", "bxor": "^", "shl": "<<", "shr": ">>"}

# The kinds that arguments are converted to, "" for those that stay as they are.
_TAKES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("band", "bor", "bxor", "shl", "shr", "gcd"), (k.INT, k.INT)),
    **dict.fromkeys(("bit_set", "bit_clr", "bit_test", "bit_next"), (k.INT, k.INT)),
    **dict.fromkeys(("bnot", "bit_len", "sqrt_int", "buffer", "buffer_f"), (k.INT,)),
    "pow_mod": (k.INT,) * 3,
    **dict.fromkeys(("buf_get", "buf_get_f", "nth", "str_at", "hm_get", "hm_has"), ("", k.INT)),
    "buf_set": ("", k.INT, k.INT),
    "buf_set_f": ("", k.INT, k.FLOAT),
    "hm_set": ("", k.INT, k.INT),
    "hm_inc": ("", k.INT, k.INT),
    "sb_push": ("", k.STRING),
    "sb_push_int": ("", k.INT),
    "sb_push_char": ("", k.INT),
    "write_str": (k.STRING,),
}
_ITEMS = {"buf_set": "=", "buf_set_f": "=", "hm_set": "=", "hm_inc": "+="}


class NativeBuiltins(RoutineLowering):
    """Lowers calls of builtins; `native` and `signs` say what is known of the operands."""

    native: NativeKinds
    signs: Signs

    # --- conversions ---

    def convert(self, ex: Ex, want: str) -> Ex:
        """A value on its way into a variable, parameter or result of a static kind."""
        if ex.kind == want or want not in SCALARS or want == k.STRING:
            return ex
        if want == k.FLOAT and ex.constant and ex.kind == k.INT and ex.text.isdigit():
            return Ex(floating(float(ex.text)), k.FLOAT, constant=True, pure=True)
        return Ex(self.converted(ex, want), want)

    def converted(self, ex: Ex, want: str) -> str:
        """The call that makes a value one of this kind."""
        helper = {k.INT: "as_int", k.FLOAT: "as_float", k.BOOL: "as_bool"}.get(want)
        return f"{self.use('native')}.{helper}({ex.text})" if helper else ex.text

    @abstractmethod
    def native_text(self, ex: Ex) -> str:
        """The text of a value, as `+` with a String makes it."""

    def _arguments(self, name: str, args: Sequence[n.Expr]) -> list[Ex]:
        values = self.operands(args)
        kinds = [v.kind for v in values]
        if name in ("min", "max") and k.FLOAT in kinds:
            return [self.convert(v, k.FLOAT) for v in values]
        wanted = _TAKES.get(name, ())
        return [
            self._argument(v, wanted[i] if i < len(wanted) else "") for i, v in enumerate(values)
        ]

    def _argument(self, ex: Ex, want: str) -> Ex:
        if want == k.STRING and ex.kind in SCALARS and ex.kind != k.STRING:
            return Ex(self.native_text(ex), k.STRING)
        if want == k.INT and ex.kind == k.ANY:
            return ex  # an item of a list, a result of a lambda: Ints in all but name
        return self.convert(ex, want) if want else ex

    # --- calls ---

    def builtin_call(self, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]) -> Ex:
        values = self._arguments(name, args)
        kind = self.native.called(n.Unit(), name, args)
        inline = self._inline(name, args, values, kind)
        if inline is not None:
            return inline
        listed = ", ".join(v.text for v in values)
        return Ex(f"{self.use('native')}.{name}({listed})", kind)

    def _inline(
        self, name: str, args: tuple[n.Expr, ...], values: list[Ex], kind: str
    ) -> Ex | None:
        """The call without a helper, where Python's operator does the same."""
        ints = all(v.kind == k.INT for v in values)
        if name == "bnot" and ints and len(values) == 1:
            return Ex(f"~{values[0].at(SIGN)}", k.INT, SIGN)
        if len(values) != 2:
            return None
        left, right = values
        if name in _OPERATORS and ints:
            if name in ("shl", "shr") and self.signs.of(args[1]) == ANY:
                return None
            text = f"{left.at(SIGN)} {_OPERATORS[name]} {right.at(SIGN)}"
            return Ex(text, k.INT, COMPARE)
        if not isinstance(args[0], n.Name):
            return None
        if name in ("buf_get", "buf_get_f") and self.signs.of(args[1]) >= NATURAL:
            return Ex(f"{left.text}[{right.text}]", kind, ATOM)
        return Ex(f"{left.text}.get({right.text}, 0)", kind) if name == "hm_get" else None

    def deliver_expr(self, node: n.Node, dest: Dest) -> bool:
        if dest.kind != "drop" or not isinstance(node, n.Call) or node.name not in _ITEMS:
            return super().deliver_expr(node, dest)
        target = self.routines.call(self.routine, node, node.name, node.args)
        if not isinstance(target, BuiltinCall) or not isinstance(node.args[0], n.Name):
            return super().deliver_expr(node, dest)
        bounded = node.name.startswith("buf_")
        if len(node.args) < 2 or (bounded and self.signs.of(node.args[1]) == ANY):
            return super().deliver_expr(node, dest)
        place, index, *more = self._arguments(node.name, node.args)
        value = more[0].text if more else "1"
        self.out.add(f"{place.text}[{index.text}] {_ITEMS[node.name]} {value}")
        return False
