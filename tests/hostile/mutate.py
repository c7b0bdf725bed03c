"""Ways to spoil a file: by chance, and where it hurts (box sizes, counts, rates, dimensions)."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

Mutator = Callable[[random.Random, bytes], bytes]

_LIES = (
    0, 1, 2, 3, 7, 8, 16, 0x7F, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000,
    0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF,
)  # fmt: skip
_BOXES = (
    b"moov", b"mvhd", b"trak", b"tkhd", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl", b"stsd",
    b"stts", b"stss", b"ctts", b"stsc", b"stsz", b"stco", b"co64", b"edts", b"elst", b"avc1",
    b"avcC", b"hvc1", b"hvcC", b"mp4a", b"esds", b"mdat", b"moof", b"traf", b"trun", b"tfhd",
    b"tfdt", b"mvex", b"trex", b"udta", b"meta", b"colr", b"pasp", b"free", b"ftyp",
    b"RIFF", b"LIST", b"hdrl", b"avih", b"strh", b"strf", b"movi", b"idx1", b"fmt ", b"data",
    b"fLaC", b"OggS", b"OpusHead", b"\x1aE\xdf\xa3", b"\x15I\xa9f", b"\x16T\xaek", b"\x1cS\xbbk",
    b"\x1fC\xb6u", b"\xb0\x82", b"\xba\x82", b"FLV", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3",
    b"\x00\x00\x01\xe0", b"\x00\x00\x01\xc0", b"\xff\xfb", b"\xff\xf1", b"ID3", b"G\x00\x11",
)  # fmt: skip
"""Marks of the structure of MP4, AVI, WAV, FLAC, Ogg, Matroska, FLV, MPEG, MP3 and AAC."""
_PLACES = re.compile(b"|".join(re.escape(box) for box in _BOXES))


def _marks(raw: bytes) -> list[int]:
    return [match.start() for match in _PLACES.finditer(raw)] or [0]


def cut_anywhere(rng: random.Random, raw: bytes) -> bytes:
    """Ended at any byte."""
    return raw[: rng.randrange(len(raw) + 1)]


def cut_at_mark(rng: random.Random, raw: bytes) -> bytes:
    """Ended at, or some bytes beside, a mark of the structure."""
    return raw[: max(0, rng.choice(_marks(raw)) + rng.choice((-4, -1, 0, 1, 4, 8, 16)))]


def cut_tail(rng: random.Random, raw: bytes) -> bytes:
    """Without some of the last bytes."""
    return raw[: -rng.choice((1, 2, 3, 8, 64, 512, 4096))]


def cut_head(rng: random.Random, raw: bytes) -> bytes:
    """Without the first bytes."""
    return raw[rng.choice((1, 4, 8, 32, 100, 1000, len(raw) // 2)) :]


def cut_middle(rng: random.Random, raw: bytes) -> bytes:
    """With a hole closed."""
    start = rng.randrange(len(raw))
    return raw[:start] + raw[start + rng.choice((1, 2, 7, 100, 2048, 30000)) :]


def _spoilt(rng: random.Random, raw: bytes, fill: Callable[[int], bytes]) -> bytes:
    length = rng.choice((1, 4, 16, 64, 512, 4096, 16384))
    start = rng.randrange(len(raw))
    length = min(length, len(raw) - start)
    return raw[:start] + fill(length) + raw[start + length :]


def zero_block(rng: random.Random, raw: bytes) -> bytes:
    """A block of zeros, as a broken disk leaves it."""
    return _spoilt(rng, raw, bytes)


def full_block(rng: random.Random, raw: bytes) -> bytes:
    """A block of ones."""
    return _spoilt(rng, raw, lambda n: b"\xff" * n)


def noise_block(rng: random.Random, raw: bytes) -> bytes:
    """A block of noise."""
    return _spoilt(rng, raw, rng.randbytes)


def flip_bits(rng: random.Random, raw: bytes) -> bytes:
    """Some bits turned over, anywhere."""
    return _flipped(rng, raw, len(raw), rng.choice((1, 2, 8, 64, 500)))


def flip_head(rng: random.Random, raw: bytes) -> bytes:
    """Some bits turned over in the first 2 kB."""
    return _flipped(rng, raw, min(len(raw), 2048), rng.choice((1, 2, 8, 32)))


def _flipped(rng: random.Random, raw: bytes, within: int, count: int) -> bytes:
    content = bytearray(raw)
    for _ in range(count):
        content[rng.randrange(within)] ^= 1 << rng.randrange(8)
    return bytes(content)


def lie_near_mark(rng: random.Random, raw: bytes) -> bytes:
    """A number of the structure replaced: a size, a count, a rate, a dimension."""
    content = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = max(0, rng.choice(_marks(raw)) + rng.randrange(-8, 120))
        _put(rng, content, place)
    return bytes(content)


def lie_anywhere(rng: random.Random, raw: bytes) -> bytes:
    """A number replaced anywhere in the first or last 2 kB."""
    content = bytearray(raw)
    start = rng.choice((0, max(0, len(raw) - 2048)))
    for _ in range(rng.choice((1, 3, 9))):
        _put(rng, content, start + rng.randrange(min(2048, len(raw))))
    return bytes(content)


def _put(rng: random.Random, content: bytearray, place: int) -> None:
    size = rng.choice((1, 2, 4, 4, 4, 8))
    value = rng.choice(_LIES) if rng.random() < 0.8 else rng.getrandbits(8 * size)
    value &= (1 << 8 * size) - 1
    if place + size <= len(content):
        content[place : place + size] = value.to_bytes(size, rng.choice(("big", "little")))


def swap_tracks(rng: random.Random, raw: bytes) -> bytes:
    """What is image is called audio and the reverse; codecs and marks change places."""
    pairs = [
        (b"vide", b"soun"), (b"vids", b"auds"), (b"00dc", b"01wb"), (b"avc1", b"mp4a"),
        (b"V_MPEG4/ISO/AVC", b"A_MPEG4/ISO/AVC"), (b"stco", b"stsz"), (b"stts", b"ctts"),
        (b"vmhd", b"smhd"), (b"moov", b"mdat"), (b"hvc1", b"avc1"), (b"\x00\xe0", b"\x00\xc0"),
        (b"V_FFV1", b"V_VP9\x00"), (b"A_OPUS", b"A_FLAC"), (b"mp4a", b"alac"),
        (b"avc1", b"hev1"), (b"avc1", b"png "), (b"avc1", b"raw "), (b"avc1", b"tx3g"),
        (b"mp4a", b"ulaw"), (b"mp4a", b"in24"), (b"MJPG", b"H264"), (b"FMP4", b"MJPG"),
    ]  # fmt: skip
    held = [pair for pair in pairs if pair[0] in raw or pair[1] in raw]
    if not held:
        return flip_head(rng, raw)
    a, b = rng.choice(held)
    return raw.replace(a, b"\0\1\2\3" * 4).replace(b, a).replace(b"\0\1\2\3" * 4, b)


def double_block(rng: random.Random, raw: bytes) -> bytes:
    """A part that stands there twice."""
    start, length = rng.randrange(len(raw)), rng.choice((4, 188, 2048, 20000))
    return raw[:start] + raw[start : start + length] + raw[start:]


def swap_blocks(rng: random.Random, raw: bytes) -> bytes:
    """Two parts that changed places."""
    a, b = sorted(rng.randrange(len(raw)) for _ in range(2))
    n = min(rng.choice((8, 188, 2048, 20000)), b - a, len(raw) - b)
    return raw[:a] + raw[b : b + n] + raw[a + n : b] + raw[a : a + n] + raw[b + n :]


def join_halves(rng: random.Random, raw: bytes) -> bytes:
    """The file, then a part of it again."""
    return raw + raw[rng.randrange(len(raw)) :]


def no_bytes(rng: random.Random, raw: bytes) -> bytes:
    """Nothing, or next to nothing."""
    return raw[: rng.choice((0, 0, 1, 4, 8, 12, 16, 32))]


def noise_only(rng: random.Random, raw: bytes) -> bytes:
    """Noise behind a head that is right."""
    return raw[: rng.choice((0, 4, 12, 48, 300))] + rng.randbytes(rng.choice((10, 1000, 50000)))


def sps(width: int, height: int) -> bytes:
    """An H.264 sequence parameter set of a size in pixels (rounded to 16): ITU-T H.264 7.3.2.1."""
    bits = f"{66:08b}{0:08b}{52:08b}"  # baseline, no constraints, level 5.2
    for value in (0, 0, 2, 1):  # id, frame number bits, order type 2, one reference
        bits += _golomb(value)
    bits += "0" + _golomb(width // 16 - 1) + _golomb(height // 16 - 1)
    bits += "1" + "1" + "0" + "0" + "1"  # frames only, 8x8 inference, no crop, no VUI, stop
    bits += "0" * (-len(bits) % 8)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return b"\x67" + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", raw)


def _golomb(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def absurd_image(rng: random.Random, raw: bytes) -> bytes:
    """A image of another size than it has: in the container, or in the codec's own head."""
    size = rng.choice(((16, 16), (16384, 16384), (65520, 16), (16, 65520), (8192, 4320)))
    content = bytearray(raw)
    for match in list(re.finditer(rb"avc1|hvc1|mp4v|jpeg|ap\w\w|mjpa", raw))[:1]:
        if match.end() + 32 < len(content):
            content[match.end() + 24 : match.end() + 28] = struct.pack(">HH", *size)
    for match in re.finditer(rb"tkhd", raw):
        if match.start() + 88 <= len(content):
            struct.pack_into(">II", content, match.start() + 80, size[0] << 16, size[1] << 16)
    for match in list(re.finditer(rb"strf\x28\x00\x00\x00", raw))[:1]:
        struct.pack_into("<ii", content, match.end() + 4, size[0], size[1] * rng.choice((1, -1)))
    for match in list(re.finditer(rb"\xb0\x82", raw))[:1]:
        struct.pack_into(">H", content, match.end(), size[0])
    if rng.random() < 0.7:
        content = _other_sps(rng, content, size)
    return bytes(content)


def _other_sps(rng: random.Random, content: bytearray, size: tuple[int, int]) -> bytearray:
    """Another parameter set, where the old one lies; what follows keeps its place."""
    new = sps(*size)
    for match in re.finditer(rb"\x67[\x42\x4d\x64\xf4][\x00-\xff][\x0a-\x3d]", bytes(content)):
        at = match.start()
        content[at : at + len(new)] = new
        if rng.random() < 0.5:
            break
    return content


def absurd_time(rng: random.Random, raw: bytes) -> bytes:
    """Time scales, durations and rates that cannot be."""
    content = bytearray(raw)
    for match in re.finditer(rb"mvhd|tkhd|mdhd|stts|ctts|elst|avih|strh|fmt |\xad\xb1|D\x89", raw):
        if rng.random() < 0.6:
            for _ in range(rng.choice((1, 2))):
                _put(rng, content, match.end() + rng.randrange(4, 40))
    return bytes(content)


MUTATORS: dict[str, Mutator] = {
    mutator.__name__: mutator
    for mutator in (
        cut_anywhere, cut_at_mark, cut_tail, cut_head, cut_middle, zero_block, full_block,
        noise_block, flip_bits, flip_head, lie_near_mark, lie_anywhere, swap_tracks, double_block,
        swap_blocks, join_halves, no_bytes, noise_only, absurd_image, absurd_time,
    )
}  # fmt: skip


def mutant(name: str, seed: int, raw: bytes) -> bytes:
    """The file spoilt one way; the same name and seed give the same bytes."""
    return MUTATORS[name](random.Random(f"{name} {seed}"), raw)
