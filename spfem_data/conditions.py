"""Conditions that select rows: `where=[("mouth_agreement", ">", 0.8)]`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import reduce
from reprlib import repr as short
from typing import Any

import numpy as np
import pyarrow.compute as pc

from spfem_data.errors import TableError, meant

Condition = tuple[str, str, Any]
"""Column, one of == != < <= > >= in `not in`, value: `("mouth_agreement", ">", 0.8)`."""

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
OPERATORS = (*_COMPARISONS, "in", "not in")
_EXPECTED = 'expected tuples (column, operator, value) such as ("confidence", ">", 0.9)'


def check_conditions(where: Iterable[Condition] | Condition | None) -> list[Condition]:
    """The conditions as a list, with the values of `in` as lists. A single condition may be bare.

    Raises
    ------
    TableError
        If one is not a condition.
    """
    if where is None:
        return []
    if isinstance(where, str):
        raise TableError(f"where={where!r}: {_EXPECTED}")
    conditions: list[Any] = list(where)
    if len(conditions) == 3 and isinstance(conditions[1], str) and conditions[1] in OPERATORS:
        conditions = [tuple(conditions)]
    return [_checked(condition) for condition in conditions]


def _checked(condition: Any) -> Condition:
    problem = _problem(condition)
    if problem:
        raise TableError(f"where=[{short(condition)}]: {problem}")
    column, comparison, value = condition
    if comparison in _COMPARISONS:
        return column, comparison, value.item() if hasattr(value, "item") else value
    values = value.tolist() if hasattr(value, "tolist") else list(value)
    return column, comparison, values


def _problem(condition: Any) -> str | None:
    if isinstance(condition, (list, tuple)) and any(isinstance(c, tuple) for c in condition[:1]):
        return "all conditions must hold, there is no `or`: use `in` with a list of values"
    if not isinstance(condition, (list, tuple)) or len(condition) != 3:
        return _EXPECTED
    column, comparison, value = condition
    if not isinstance(column, str) or not isinstance(comparison, str):
        return _EXPECTED
    if comparison not in OPERATORS:
        return f"unknown operator {comparison!r}; expected {', '.join(OPERATORS)}" + meant(
            comparison, OPERATORS
        )
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    if comparison in ("in", "not in"):
        return None if several else f"`{comparison}` expects a list of values, not {short(value)}"
    if value is None:
        return "null meets no condition, so a comparison with None selects nothing"
    if several and np.ndim(value):
        return f"`{comparison}` expects one value; use `in` for several"
    return None


def to_expression(conditions: list[Condition]) -> pc.Expression | None:
    """The conjunction for Arrow, in which null meets no condition; None without conditions."""
    return reduce(operator.and_, map(_expression, conditions)) if conditions else None


def _expression(condition: Condition) -> pc.Expression:
    column, comparison, value = condition
    field = pc.field(column)
    if comparison in _COMPARISONS:
        return _COMPARISONS[comparison](field, value)
    values = [v for v in value if v is not None]
    listed = field.isin(values) if values else pc.scalar(False)
    return field.is_valid() & (listed if comparison == "in" else ~listed)
