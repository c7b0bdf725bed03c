"""Write all reference pages."""

from __future__ import annotations

from cli.reference.pages import PAGES

for place, page in PAGES.items():
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(page(), encoding="utf-8")
    print(place)
