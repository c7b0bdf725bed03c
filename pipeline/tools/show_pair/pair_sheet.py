"""One pair as one image: film strips, curves, both spectrograms, the path and the numbers.

The geometry is that of the page (`report.figure`), drawn with Pillow and its built-in font.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.faces.sampling import U8
from pipeline.records import Pair, PosedPair
from pipeline.stages.report.figure import WIDTH
from pipeline.stages.report.images import row
from pipeline.stages.report.pair_table import middle
from pipeline.stages.report.pair_view import PairView
from pipeline.stages.report.truth_measures import number

_LEFT, _MARGIN, _GAP = 96, 20, 12
_CURVE_PX, _MEL_PX, _PATH_PX = 54, 60, 76
_INK, _SOFT, _RULE = (29, 33, 38), (86, 94, 104), (214, 216, 212)
_A, _B, _GROUND = (31, 106, 165), (168, 70, 26), (255, 255, 255)
_DRAWN_WIDTH = 1280
_INSET_PX = 8
_OVERSAMPLE = 2
"""Lines are drawn at twice the size and averaged, because Pillow has no antialiasing."""


@dataclass(frozen=True)
class _Panel:
    """A panel of the figure: name, axis labels and content."""

    name: str
    top: str
    bottom: str
    tall: int
    lines: tuple[tuple[Sequence[str], tuple[int, int, int]], ...] = ()
    mel: tuple[U8, Sequence[float]] | None = None


def pair_sheet(pair: Pair, posed: PosedPair | None, drawn: PairView) -> bytes:
    """The image as PNG. The same pair gives the same bytes."""
    blocks = [_head(pair, posed)]
    if drawn.tops:
        blocks.append(_film(pair, drawn))
    blocks.append(_figure(pair, drawn))
    tall = sum(block.height for block in blocks) + 2 * _MARGIN
    sheet = Image.new("RGB", (_DRAWN_WIDTH, tall), _GROUND)
    y = _MARGIN
    for block in blocks:
        sheet.paste(block, (0, y))
        y += block.height
    target = io.BytesIO()
    sheet.save(target, format="PNG")
    return target.getvalue()


def facts(pair: Pair, posed: PosedPair | None) -> list[tuple[str, str]]:
    """The numbers of a pair as text: name and value."""
    frames = f"{len(pair.frame_a)} of {pair.n_frames_a} and {pair.n_frames_b}"
    facts = [
        ("frame pairs", frames),
        ("coverage", number(pair.coverage)),
        ("confidence", number(middle(pair.confidence))),
        ("claimed error", number(middle(pair.error_ms), 0, " ms")),
        ("sentence score", f"{number(pair.sentence_score)} by {pair.sentence_method}"),
        ("mouth agreement", number(pair.mouth_agreement)),
        ("image late a, b", _sync(pair)),
        ("length ratio b/a", number(pair.length_ratio)),
        ("view, split", f"{pair.view}, {pair.split}"),
    ]
    if posed is not None:
        before, after = number(posed.residual_before, 3), number(posed.residual_after, 3)
        facts.insert(6, ("pose residual", f"{before} to {after}"))
    return [(name, _plain(value)) for name, value in facts]


def _sync(pair: Pair) -> str:
    """The delays of both images that the pairing corrects, and the error that remains."""
    if pair.sync_error_ms is None:
        return "not measured"
    return f"{pair.sync_a_ms:.0f}, {pair.sync_b_ms:.0f} +-{pair.sync_error_ms:.0f} ms"


def _plain(text: str) -> str:
    """Replace characters that the font lacks."""
    return text.replace("–", "-")  # noqa: RUF001


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _head(pair: Pair, posed: PosedPair | None) -> Image.Image:
    block = Image.new("RGB", (_DRAWN_WIDTH, 118), _GROUND)
    pen = ImageDraw.Draw(block)
    x = float(_MARGIN)
    for text, colour in (
        (f"{pair.speaker}: ", _INK),
        (f"{pair.emotion_a} {pair.level_a}", _A),
        (" and ", _INK),
        (f"{pair.emotion_b} {pair.level_b}", _B),
        (f", sentence {pair.sentence}", _INK),
    ):
        pen.text((x, 0), text, colour, _font(22))
        x += pen.textlength(text, _font(22))
    pen.text((_MARGIN, 34), pair.pair_id, _SOFT, _font(13))
    x = _MARGIN
    for name, value in facts(pair, posed):
        pen.text((x, 62), name, _SOFT, _font(12))
        pen.text((x, 78), value, _INK, _font(15))
        x += 22 + max(pen.textlength(name, _font(12)), pen.textlength(value, _font(15)))
    return block


def _film(pair: Pair, drawn: PairView) -> Image.Image:
    wide = _DRAWN_WIDTH - _LEFT - _MARGIN
    face = wide // len(drawn.tops)
    under = ", posed" if drawn.posed else ""
    rows = [
        (drawn.tops, pair.emotion_a, _A),
        (drawn.bottoms, f"{pair.emotion_b}{under}", _B),
        (drawn.mouths[0], f"{pair.emotion_a}, mouth", _A),
        (drawn.mouths[1], f"{pair.emotion_b}, mouth", _B),
    ]
    rows = [row for row in rows if row[0]]
    tall = len(rows) * (face + 2)
    block = Image.new("RGB", (_DRAWN_WIDTH, tall + 62), _GROUND)
    pen = ImageDraw.Draw(block)
    for n, (faces, name, colour) in enumerate(rows):
        y = n * (face + 2)
        strip = Image.fromarray(row(faces)).resize((face * len(faces), face), Image.Resampling.BOX)
        block.paste(strip, (_LEFT, y))
        _label(pen, name, colour, y + face / 2)
    for k, column in enumerate(drawn.columns):
        _under(pen, _LEFT + (k + 0.5) * face, tall + 2, k + 1, column)
    return block


def _under(pen: ImageDraw.ImageDraw, x: float, y: int, n: int, column: Mapping[str, Any]) -> None:
    lines = (
        (str(n), _INK, 13),
        (f"{column['time_a_s']:.2f} s, {column['time_b_s']:.2f} s", _SOFT, 12),
        (f"{column['confidence']:.2f}, +-{column['error_ms']} ms", _SOFT, 12),
    )
    for line, (text, colour, size) in enumerate(lines):
        pen.text((x, y + 17 * line), text, colour, _font(size), anchor="ma")


def _label(
    pen: ImageDraw.ImageDraw, text: str, colour: tuple[int, int, int], y: float, size: int = 13
) -> None:
    """Text to the left of a strip or panel, one line per comma-separated part."""
    pen.multiline_text(
        (_LEFT - 10, y), text.replace(", ", ",\n"), colour, _font(size), anchor="rm", align="right"
    )


def _panels(pair: Pair, drawn: PairView) -> list[_Panel]:
    figure = drawn.figure
    highest = f"{figure['max_error_ms']:g} ms"
    panels = [
        _Panel("confidence", "1", "0", _CURVE_PX, ((figure["confidence"], _INK),)),
        _Panel("claimed error", highest, "0", _CURVE_PX, ((figure["error"], _INK),)),
    ]
    if figure["mouth"]:
        mouth = figure["mouth"]
        curves = ((mouth["a"], _A), (mouth["b"], _B))
        panels.append(_Panel("mouth open", mouth["top"], "0", _CURVE_PX + 8, curves))
    speech = figure["speech"]
    panels.append(_Panel("speech", "", "", 22, ((speech["a"], _A), (speech["b"], _B))))
    path = figure["path"]
    return [
        *panels,
        _Panel(pair.emotion_a, "", "", _MEL_PX, mel=(drawn.mels[0], figure["audio_a"])),
        _Panel(
            f"{pair.emotion_b}, in a's time", "", "", _MEL_PX,
            mel=(drawn.mels[1], figure["audio_b"]),
        ),
        _Panel(
            "path, b's time", f"{path['top']} s", path["bottom"], _PATH_PX,
            (([path["even"]], _SOFT), ([path["line"]], _B)),
        ),
    ]  # fmt: skip


def _figure(pair: Pair, drawn: PairView) -> Image.Image:
    panels = _panels(pair, drawn)
    wide = _DRAWN_WIDTH - _LEFT - _MARGIN
    block = Image.new("RGB", (_DRAWN_WIDTH, sum(p.tall + _GAP for p in panels) + 48), _GROUND)
    pen = ImageDraw.Draw(block)
    y = 18
    end = y + sum(p.tall + _GAP for p in panels) - _GAP
    for panel in panels:
        block.paste(_plot(panel, wide), (_LEFT, y))
        pen.rectangle((_LEFT, y, _LEFT + wide, y + panel.tall), outline=_RULE)
        _label(pen, panel.name, _INK, y + panel.tall / 2, 12)
        pen.text((_LEFT + 5, y + 3), panel.top, _SOFT, _font(10))
        pen.text((_LEFT + 5, y + panel.tall - 14), panel.bottom, _SOFT, _font(10))
        y += panel.tall + _GAP
    for mark in drawn.figure["marks"]:
        x = _LEFT + mark["x"] / WIDTH * wide
        pen.text((x, 2), str(mark["label"]), _INK, _font(12), anchor="ma")
        for dot in range(18, end, 5):
            pen.point((x, dot), _SOFT)
    for tick in drawn.figure["ticks"]:
        x = _LEFT + tick["x"] / WIDTH * wide
        pen.text((x, end + 5), tick["label"], _SOFT, _font(11), anchor="ma")
    _label(pen, "seconds of a", _SOFT, end + 12, 12)
    return block


def _plot(panel: _Panel, wide: int) -> Image.Image:
    if panel.mel is not None:
        plot = Image.new("L", (wide, panel.tall), 255)
        grey, (start, length) = panel.mel
        size = max(1, round(length / WIDTH * wide)), panel.tall
        image = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR)
        plot.paste(image, (round(start / WIDTH * wide), 0))
        return plot.convert("RGB")
    fine = Image.new("RGB", (wide * _OVERSAMPLE, panel.tall * _OVERSAMPLE), _GROUND)
    pen = ImageDraw.Draw(fine)
    for lines, colour in panel.lines:
        for line in lines:
            points = np.array([point.split(",") for point in line.split()], np.float64)
            scaled = points * [fine.width / WIDTH, fine.height - 2 * _INSET_PX]
            scaled[:, 1] += _INSET_PX
            pen.line([tuple(p) for p in scaled.tolist()], colour, 4, joint="curve")
    return fine.resize((wide, panel.tall), Image.Resampling.BOX)
