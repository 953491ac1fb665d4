"""The families that this version leaves out: each name is there, and says so when it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ..errors import unsupported
from ..values.kinds import Value

_MODEL_CALLS = "model calls"
_MATRICES = "linear algebra and risk functions"


def _refusal(name: str, family: str) -> Callable[..., NoReturn]:
    def refuse(*_: Value) -> NoReturn:
        raise unsupported(name, family)

    refuse.__name__ = name
    return refuse


think = _refusal("think", _MODEL_CALLS)
think_json = _refusal("think_json", _MODEL_CALLS)
tokens_used = _refusal("tokens_used", _MODEL_CALLS)
tokens_remaining = _refusal("tokens_remaining", _MODEL_CALLS)
set_budget = _refusal("set_budget", _MODEL_CALLS)
approve = _refusal("approve", _MODEL_CALLS)
trace = _refusal("trace", _MODEL_CALLS)
clear_trace = _refusal("clear_trace", _MODEL_CALLS)
clear_context = _refusal("clear_context", _MODEL_CALLS)
remember = _refusal("remember", _MODEL_CALLS)
recall = _refusal("recall", _MODEL_CALLS)

mat = _refusal("mat", _MATRICES)
rows = _refusal("rows", _MATRICES)
cols = _refusal("cols", _MATRICES)
zeros = _refusal("zeros", _MATRICES)
ones = _refusal("ones", _MATRICES)
diag = _refusal("diag", _MATRICES)
eye = _refusal("eye", _MATRICES)
matrix = _refusal("matrix", _MATRICES)
to_sampled = _refusal("to_sampled", _MATRICES)
drop_sampled = _refusal("drop_sampled", _MATRICES)
sample_row = _refusal("sample_row", _MATRICES)
importance_sample_rows = _refusal("importance_sample_rows", _MATRICES)
svd_lowrank = _refusal("svd_lowrank", _MATRICES)
regress_sgd = _refusal("regress_sgd", _MATRICES)
clean_covariance = _refusal("clean_covariance", _MATRICES)
quantile = _refusal("quantile", _MATRICES)
var_historical = _refusal("var_historical", _MATRICES)
expected_shortfall_historical = _refusal("expected_shortfall_historical", _MATRICES)
var_gaussian = _refusal("var_gaussian", _MATRICES)
impact_sqrt = _refusal("impact_sqrt", _MATRICES)
