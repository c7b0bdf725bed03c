"""Which versions match a requirement."""

from __future__ import annotations

import pytest

from pipeline.tools.doctor.libraries import Requirement, requirements


@pytest.mark.parametrize(
    ("asked", "version", "serves"),
    [
        (">=1.26.4,<2", "1.26.4", True),
        (">=1.26.4,<2", "2.1.0", False),
        (">=1.26.4,<2", "1.26.3", False),
        (">=2.6,<2.14", "2.13.0+cpu", True),
        (">=2.6,<2.14", "2.14.0", False),
        ("==0.10.21", "0.10.21", True),
        ("==0.10.21", "0.10.22", False),
        ("==4.11.*", "4.11.0.86", True),
        ("!=4.11.*", "4.11.0.86", False),
        ("~=1.4.2", "1.4.9", True),
        ("~=1.4.2", "1.5.0", False),
        (">=3", "3.0rc1", False),
        (">=13", "13", True),
        ("<=13", "13.0.1", False),
        ("", "0.0.1", True),
    ],
)
def test_which_versions_serve(asked: str, version: str, serves: bool) -> None:
    assert Requirement("x", asked, "").allows(version) is serves


def test_the_project_says_what_it_needs() -> None:
    found = {(r.name, r.extra): r.versions for r in requirements()}
    assert found["mediapipe", "build"] == "==0.10.21"
    assert found["numpy", ""] == ">=1.26"
    assert found["numpy", "build"] == ">=1.26.4,<2"
    assert found["espeakng-loader", "demo"] == ">=0.2"
