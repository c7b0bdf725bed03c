"""The report's page in a headless Chromium: does it load, scroll, and pass an accessibility check?

`python -m benchmarks.report_page` makes a page of 5,000 pairs, 200 of them with images and audio,
by the page's own code; `--page FILE` takes one that is there. It is opened at two widths in light
and in dark: seconds to load beside those of an empty page in the same browser, frames while the
rows scroll, what the console says, what is asked of the network, and, where `--axe` names the
`axe.min.js` of axe-core (npm install axe-core), its findings. `--shots` keeps images to look at.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.stages.report.page import render
from tests.builders.browser import CHROMIUM, Browser, browser
from tests.builders.many_pairs import many_pairs

PAIRS, CARDS = 5000, 200
SHAPES = [(1280, False), (1280, True), (400, False), (400, True)]
EMPTY = "<!doctype html><html lang=en><title>empty</title><p>Nothing."
SCROLL = """new Promise((done) => {
  const rows = document.getElementById("rows");
  const began = performance.now();
  const times = [];
  let last = began;
  const step = (now) => {
    times.push(now - last);
    last = now;
    rows.scrollTop += 600;
    if (times.length < 60) requestAnimationFrame(step);
    else {
      const middle = times.slice(1).sort((a, b) => a - b)[30];
      done([middle, document.querySelectorAll("#all tr").length]);
    }
  };
  requestAnimationFrame(step);
})"""
AXE = """axe.run(document, {resultTypes: ["violations"]}).then(
  (found) => found.violations.map((v) => (
  {id: v.id, impact: v.impact, n: v.nodes.length, first: v.nodes[0].html.slice(0, 160)})))"""
SECTIONS = ("way", "coverage", "pairs", "pose", "clear", "families", "rejects", "every")


def main() -> None:
    """Measure and print; exit 1 where the page complains, loads something or fails axe."""
    options = _options()
    if CHROMIUM is None:
        sys.exit("no chromium on the path: nothing to measure")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = options.page or _made(folder)
        print(f"{page.name}: {page.stat().st_size / 1e6:.1f} MB")
        with browser(folder) as tab:
            bad = [_shape(tab, page, folder, width, dark, options) for width, dark in SHAPES]
    sys.exit(any(bad))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--axe", type=Path, default=os.environ.get("AXE_CORE"))
    parser.add_argument("--shots", type=Path)
    return parser.parse_args()


def _made(folder: Path) -> Path:
    path = folder / "page.html"
    path.write_bytes(render(many_pairs(PAIRS, CARDS)))
    return path


def _shape(
    tab: Browser, page: Path, folder: Path, width: int, dark: bool, options: argparse.Namespace
) -> bool:
    name = f"{width}-{'dark' if dark else 'light'}"
    (folder / "empty.html").write_text(EMPTY)
    tab.shape(width, 900, dark=dark, phone=width < 700)
    tab.complaints.clear()
    tab.requests.clear()
    tab.open(folder / "empty.html")
    loads = sorted((tab.open(page), tab.open(folder / "empty.html"))[0] for _ in range(3))
    empty = tab.open(folder / "empty.html")
    tab.requests.clear()
    tab.open(page)
    frame_ms, rows = tab.run(SCROLL)
    wide = tab.run("Math.max(document.documentElement.scrollWidth, innerWidth)")
    elsewhere = [url for url in tab.requests if url != page.resolve().as_uri()]
    print(f"{name}: load {loads[0]:.2f} to {loads[-1]:.2f} s (an empty page {empty:.2f} s), "
          f"{frame_ms:.0f} ms a frame while scrolling, {rows} rows in the page, {wide} px wide, "
          f"{len(elsewhere)} requests, {len(tab.complaints)} complaints")  # fmt: skip
    for line in (*elsewhere, *tab.complaints):
        print(f"  {line}")
    found = _axe(tab, options.axe) if options.axe else []
    if options.shots:
        _shots(tab, options.shots, name)
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    return bool(elsewhere or tab.complaints or serious or wide > width)


def _axe(tab: Browser, axe: Path) -> list[dict[str, Any]]:
    """axe's findings on the page, and on it with a pair open."""
    tab.run(Path(axe).read_text(encoding="utf-8") + ";0")
    found = list(tab.run(AXE, 300))
    tab.run("document.querySelector('#all .open')?.click()")
    found += tab.run(AXE, 300)
    tab.run("document.getElementById('close').click()")
    print(f"  axe: {len(found)} findings")
    for v in found:
        print(f"  {v['impact']} {v['id']}, {v['n']} times: {v['first']}")
    return found


def _shots(tab: Browser, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tab.run("scrollTo(0, 0)")
    tab.image(folder / f"{name}-top.png")
    for section in SECTIONS:
        place = f"document.getElementById('{section}')"
        if not tab.run(
            f"{place} !== null && ({place}.scrollIntoView({{behavior: 'instant'}}), true)"
        ):
            continue
        tab.run("new Promise(r => setTimeout(r, 500))")
        tab.image(folder / f"{name}-{section}.png")


if __name__ == "__main__":
    main()
