import math

import numpy as np
import pytest

from pipeline.stages.report.metrics import distribution, median, quantile, rounded, share


def test_quantiles_leave_out_what_is_not_finite() -> None:
    assert median([1.0, math.nan, 3.0]) == 2.0
    assert quantile(np.array([0.0, 1.0]), 0.95) == 0.95
    assert median([]) is None


def test_numbers_are_rounded_and_zero_has_no_sign() -> None:
    assert rounded(1.23456) == 1.2346
    assert math.copysign(1, rounded(-0.00001)) == 1
    assert share(1, 3) == 0.3333
    assert share(1, 0) is None


def test_distribution_keeps_what_lies_beyond_its_ends() -> None:
    values = np.array([-1.0, 0.1, 0.6, 1.0, 9.0, math.nan])
    d = distribution("d", "d", "", 0, 1, 2, {"n": values})
    assert d.counts == {"n": (2, 3)}
    assert d.total == 5
    assert d.tables() == {"d": "from,count\n0,2\n0.5,3\n"}


@pytest.mark.parametrize("n", [0, 1])
def test_distribution_of_nearly_nothing(n: int) -> None:
    assert distribution("d", "d", "", 0, 1, 4, {"n": np.zeros(n)}).total == n
