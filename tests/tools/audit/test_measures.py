"""Known lists give known numbers; the published one gives the counts that are known of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.tools.audit.measures import Run, group_pairs, longest_run, measure_all
from pipeline.tools.audit.outcome import audit
from pipeline.tools.audit.pairlist import read_pair_list
from tests.builders.pair_lists import EVEN, STUCK, listed

GROUP_23 = (
    "M007 M028 M029 M031 M032 M033 M035 M037 M039 M040 M041 M042 W011 W018 W019 W025 W026 W028 "
    "W033 W035 W036 W038 W040"
)


def test_measures_of_a_path_that_stands_still() -> None:
    row = measure_all([listed("001", STUCK)])[0]
    assert (row.n_frames_a, row.n_frames_b) == (12, 23)
    assert row.ratio == pytest.approx(23 / 12)
    assert row.run_a == Run(12, 11, (11 + 22) / 2 / 22)
    assert row.run_b.length == 1
    assert row.diagonal == pytest.approx(11 / 22)
    assert row.one_to_one == pytest.approx(11 / 23)
    assert (row.monotone, row.start, row.end) == (True, (0, 0), (11, 22))
    assert row.ratio_among_fellows is None
    assert row.flags == ("length_ratio", "long_run", "few_one_to_one")


def test_limits_are_met_exactly() -> None:
    nine, ten = ([[5] * n, list(range(n))] for n in (9, 10))
    flags = [row.flags for row in measure_all([listed("001", nine), listed("002", ten)])]
    assert "long_run" not in flags[0]
    assert "long_run" in flags[1]
    even = measure_all([listed("001", [[0, 9], [0, 17]])])[0]
    assert (even.ratio, even.flags) == (1.8, ())
    shorter = measure_all([listed("001", [[0, 18], [0, 9]])])[0]
    assert shorter.excess == pytest.approx(1.9)
    assert shorter.flags == ("length_ratio",)


def test_steps_of_a_one_to_one_list_are_no_fault() -> None:
    row = measure_all([listed("001", [[0, 2, 4, 6], [0, 3, 5, 6]])])[0]
    assert (row.diagonal, row.one_to_one, row.flags) == (0.0, 1.0, ())


def test_backwards_and_a_take_in_two_pairs() -> None:
    rows = measure_all([listed("001", [[0, 1, 2], [0, 2, 1]]), listed("001", EVEN, take_a="002")])
    assert rows[0].flags == ("backwards", "take_twice")
    assert rows[1].flags == ("take_twice",)


def test_a_slow_speaker_is_not_odd_among_fellows_a_wrong_take_is() -> None:
    def long(n: int) -> list[list[int]]:
        return [list(range(10)), [*range(9), n - 1]]

    slow = [listed(f"00{k}", long(20 + k)) for k in range(3)]
    assert [row.flags for row in measure_all(slow)] == [("length_ratio",)] * 3
    wrong = [listed("001", long(10)), listed("002", long(11)), listed("003", long(40))]
    rows = measure_all(wrong)
    assert rows[2].ratio_among_fellows == pytest.approx(40 / 11)
    assert [row.flags for row in rows] == [(), (), ("length_ratio", "odd_among_fellows")]


def test_longest_run_is_the_first_of_equals() -> None:
    assert longest_run(np.array([3, 3, 4, 4])) == Run(2, 3, 0.5 / 3)
    assert longest_run(np.array([7])) == Run(1, 7, 0.0)


def test_a_group_is_suspect_when_a_quarter_and_three_are_odd() -> None:
    def pairs(odd: int, n: int) -> list:
        wide = [[0, 9], [0, 30]]
        return [
            listed("003", wide if k < odd else EVEN, take_a="003", speaker=f"M{k:03d}")
            for k in range(n)
        ]

    groups = [group_pairs(measure_all(pairs(odd, n)))[0] for odd, n in ((3, 12), (3, 13), (2, 4))]
    assert [group.suspect for group in groups] == [True, False, False]
    assert groups[0].odd == ("M000", "M001", "M002")
    assert groups[0].median_ratio == 1.0


def test_the_published_list(shared: Path) -> None:
    path = shared / "real" / "published_pairs" / "aligned_path36.json"
    found = audit(read_pair_list(path))
    counts = Counter(flag for row in found.measured for flag in row.flags)
    assert len(found.measured) == 648
    assert counts["length_ratio"] == 38
    assert counts["long_run"] == 161
    assert counts["backwards"] == counts["take_twice"] == 0
    assert max(row.longest_run for row in found.measured) == 153
    suspect = [group for group in found.groups if group.suspect]
    assert [(g.emotion, g.take_a, " ".join(g.odd)) for g in suspect] == [
        ("disgusted", "003", GROUP_23)
    ]
    flagged = dict((table[0], table[2]) for table in found.tables())["flagged pairs, worst first"]
    assert sum("length_ratio" in row[-1] for row in flagged) == 38
    assert sum("long_run" in row[-1] for row in flagged) == 161
    assert flagged[0][0] == "M028 disgusted 003_030"
    value = found.as_json()
    assert value["summary"]["frame_pairs"] == 70303  # type: ignore[index]
