"""The page in a real browser, where there is one: it works, complains of nothing, loads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.stages.report.page import render
from tests.builders.browser import CHROMIUM, Browser, browser
from tests.builders.many_pairs import many_pairs

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

N = 400
OPEN = "document.querySelectorAll('#all .open').length"
FIRST = "document.querySelector('#all .open').textContent"
COUNT = "document.getElementById('count').textContent"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(render(many_pairs(N, cards=7)))
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_the_window_and_complains_of_nothing(
    page: Path, tab: Browser, width: int, dark: bool
) -> None:
    tab.shape(width, 800, dark=dark, phone=width < 700)
    tab.complaints.clear()
    tab.requests.clear()
    tab.open(page)
    assert tab.run("Math.max(document.documentElement.scrollWidth, innerWidth)") == width
    assert tab.complaints == []
    assert tab.requests == [page.resolve().as_uri()]
    ground = tab.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(19, 22, 25)" if dark else "rgb(252, 252, 250)")


def test_only_rows_in_sight_are_in_the_page(page: Path, tab: Browser) -> None:
    tab.shape(1280, 800)
    tab.open(page)
    assert tab.run(OPEN) < 60
    assert tab.run("document.getElementById('all').getAttribute('aria-rowcount')") == str(N + 1)
    tab.run("document.getElementById('rows').scrollTop = 1e6")
    tab.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    last = tab.run(
        "document.querySelector('#all tbody tr:last-child').getAttribute('aria-rowindex')"
    )
    assert last == str(N + 1)
    assert tab.run(OPEN) < 60


def test_rows_are_sorted_filtered_and_searched(page: Path, tab: Browser) -> None:
    tab.shape(1280, 800)
    tab.open(page)
    assert tab.run(COUNT) == f"{N} of {N} pairs"
    tab.run("document.querySelector('#all th button').click()")
    assert tab.run(FIRST) == "1"
    tab.run("document.querySelector('#all th button').click()")
    assert tab.run(FIRST) == str(N)
    search = "document.getElementById('search')"
    tab.run(f"{search}.value = 's03 sad'; {search}.dispatchEvent(new Event('input'))")
    shown = int(tab.run(COUNT).split()[0])
    assert 0 < shown < N
    tab.run("document.getElementById('clear-filters').click()")
    assert tab.run(COUNT) == f"{N} of {N} pairs"
    images = "document.getElementById('filter--1')"
    tab.run(f"{images}.value = '1'; {images}.dispatchEvent(new Event('change'))")
    assert tab.run(COUNT) == f"7 of {N} pairs"


@pytest.mark.slow
def test_keys_lead_along_the_rows_into_a_pair_and_back(page: Path, tab: Browser) -> None:
    tab.shape(1280, 800)
    tab.open(page)
    tab.run("document.querySelector('#all .open').focus()")
    for _ in range(40):
        tab.press("ArrowDown")
    assert tab.run("document.activeElement.dataset.place") == "40"
    tab.press("Enter")
    assert tab.run("document.getElementById('viewer').open")
    assert tab.run("document.getElementById('place').textContent") == f"41 of {N}"
    assert "show-pair" in tab.run("document.getElementById('viewer-body').textContent")
    tab.press("ArrowRight")
    assert tab.run("document.getElementById('place').textContent") == f"42 of {N}"
    tab.press("Escape")
    assert not tab.run("document.getElementById('viewer').open")
    assert tab.run("document.activeElement.dataset.place") == "41"


def test_the_stage_table_fits_a_phone(page: Path, tab: Browser) -> None:
    tab.shape(390, 800, phone=True)
    tab.open(page)
    box = "document.querySelector('#pipeline .scroll')"
    assert tab.run(f"{box}.scrollWidth - {box}.clientWidth") == 0
    last = f"{box}.querySelector('tbody tr td:last-child').getBoundingClientRect()"
    assert tab.run(f"{last}.width") > 0
    assert tab.run(f"{last}.right") <= 390


def test_an_anchor_opens_its_pair(page: Path, tab: Browser) -> None:
    tab.shape(400, 800, phone=True)
    tab.open(page, "#pair-2")
    assert tab.run("document.querySelectorAll('#viewer .pair').length") == 1


def test_cards_come_a_few_at_a_time(page: Path, tab: Browser) -> None:
    tab.shape(1280, 800)
    tab.open(page)
    cards = "document.querySelectorAll('#cards .pair').length"
    assert tab.run(cards) == 3
    tab.run("document.querySelector('input[value=random]').click()")
    assert tab.run(cards) == 1


def test_the_switch_of_colours_beats_the_system(page: Path, tab: Browser) -> None:
    tab.shape(1280, 800, dark=True)
    tab.open(page)
    tab.run("document.querySelector('input[name=theme][value=light]').click()")
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 250)"
    tab.open(page)
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 250)"
    tab.run("document.querySelector('input[name=theme][value=\"\"]').click()")
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(19, 22, 25)"


def test_both_takes_audio_and_b_is_led_along_the_path(page: Path, tab: Browser) -> None:
    tab.shape(1280, 800)
    tab.complaints.clear()
    tab.open(page)
    tab.run("document.querySelector('#cards [data-play=both]').click()")
    bar = "document.querySelector('#cards .audio')"
    tab.run(f"new Promise(r => {{ const w = () => {bar}.audios.a.currentTime > 0.6 ? r()"
            " : setTimeout(w, 20); w(); })")  # fmt: skip
    a, b = json.loads(tab.run(
        f"JSON.stringify([{bar}.audios.a.currentTime, {bar}.audios.b.currentTime])"
    ))  # fmt: skip
    assert abs(b - 2 * a) < 0.35  # b says it at half the tempo
    assert not tab.run("document.querySelector('#cards .playhead').hidden")
    tab.run("document.querySelector('#cards [data-play=both]').click()")
    assert tab.run("document.querySelector('#cards .playhead').hidden")
    assert tab.complaints == []


@pytest.mark.slow
def test_hostile_names_do_nothing(tab: Browser, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=document.title='owned'>\"'&<!--"
    content = many_pairs(30, cards=4)
    pairs = tuple(replace(p, speaker=evil, sentence=evil) for p in content.inputs.pairs)
    path = tmp_path / "evil.html"
    inputs = replace(content.inputs, pairs=pairs)
    path.write_bytes(render(replace(content, inputs=inputs)))
    tab.shape(1280, 800)
    tab.complaints.clear()
    tab.requests.clear()
    tab.open(path)
    tab.run("document.querySelector('#all .open').click()")
    assert tab.run("document.title") != "owned"
    assert tab.run(
        f"document.querySelector('#all td:nth-child(3)').textContent === {json.dumps(evil)}"
    )
    assert tab.requests == [path.resolve().as_uri()]
    assert tab.complaints == []
