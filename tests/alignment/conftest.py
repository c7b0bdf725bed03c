"""Recordings made here: noise bursts whose pattern is unlike at every instant."""

import pytest

from pipeline.params import Align
from tests.builders.babble import make_params


@pytest.fixture
def params() -> Align:
    return make_params()
