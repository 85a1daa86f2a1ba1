"""Files that hold more than one picture of 8 bits: pages, bands, deep pixels, transparency."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from banach.data import DataError, load
from banach.data.how import Ambiguous, How
from banach.data.load import read_as

RNG = np.random.default_rng(0)


def noise(*shape, most=256):
    return RNG.integers(0, most, shape, dtype=np.uint8)


def stack(path, pages, **options):
    first, *rest = (Image.fromarray(one) for one in pages)
    first.save(path, save_all=True, append_images=rest, **options)


def all_of(folder, **options):
    """All pictures in their order."""
    return read_as(str(folder), How(**options))


def tiff(path, bands, extra=None, side=8):
    """A plain TIFF file of so many bands of 8 bits, as `extra` (tag 338) describes them; a grey or an RGB one."""
    pixels = noise(side, side, bands)
    tags = [(256, 3, [side]), (257, 3, [side]), (258, 3, [8] * bands), (259, 3, [1])]
    tags += [(262, 3, [1 if bands < 3 else 2]), (273, 4, [8]), (277, 3, [bands]), (278, 3, [side])]
    tags += [(279, 4, [pixels.size])] + ([(338, 3, extra)] if extra is not None else [])
    data = pixels.tobytes()
    after, entries = 8 + len(data), b""
    more, place = b"", after + 2 + 12 * len(tags) + 4
    for tag, kind, values in tags:
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            entry = struct.pack("<I", place + len(more))
            more += packed + b"\0" * (len(packed) % 2)
        else:
            entry = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(values)) + entry
    whole = struct.pack("<2sHI", b"II", 42, after) + data + struct.pack("<H", len(tags)) + entries + b"\0" * 4 + more
    path.write_bytes(whole)
    return pixels


@pytest.mark.parametrize("kind", ["tif", "gif", "webp", "png"])
def test_stacks_are_read_as_the_user_says(tmp_path, kind):
    options = {"webp": {"lossless": True}}.get(kind, {})
    for at in range(3):
        stack(tmp_path / f"{at}.{kind}", [noise(16, 16) for _ in range(4)], **options)
    Image.fromarray(noise(16, 16)).save(tmp_path / "z.png")
    with pytest.raises(
        Ambiguous,
        match=rf"3 of 4 files in .* hold several pages \(0.{kind} 4, .*\); say what to read: "
        r"--pages all \(13 pictures\), --pages first \(4\), or one page of each, such as --pages 2",
    ):
        load(str(tmp_path))
    every, first, second = (all_of(tmp_path, pages=pages, axes="hw").values for pages in ("all", "first", 2))
    assert (len(every), len(first), len(second)) == (13, 4, 3)
    assert torch.equal(first, every[[0, 4, 8, 12]])
    assert torch.equal(second, every[[1, 5, 9]])
    assert len(every.flatten(1).unique(dim=0)) == 13
    assert torch.equal(all_of(tmp_path, ask=False, axes="hw").values, first), "as versions before read it"


def test_a_page_that_is_missing_is_told(tmp_path):
    stack(tmp_path / "a.tif", [noise(8, 8) for _ in range(2)])
    stack(tmp_path / "b.tif", [noise(8, 8) for _ in range(3)])
    raw = all_of(tmp_path, pages=3)
    assert len(raw.values) == 1
    assert "skipped 1 unreadable file: a.tif (it has 2 pages, and no page 3)" in raw.notes


def test_pages_have_their_own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "stacks"
    folder.mkdir()
    for name in "ab":
        stack(folder / f"{name}.tif", [noise(8, 8) for _ in range(3)])
    assert len(all_of(folder, ask=False, cache="always").values) == 2
    with pytest.raises(Ambiguous, match="hold several pages"):
        all_of(folder, cache="always")
    assert len(all_of(folder, pages="all", cache="always").values) == 6
    assert len(all_of(folder, pages="first", cache="always").values) == 2
    held, mapped = (all_of(folder, pages="all", range="auto", cache=cache) for cache in ("never", "always"))
    assert torch.equal(held.values, mapped.values[:])
    assert (held.range, held.extent) == (mapped.range, mapped.extent)


@pytest.mark.parametrize(("bands", "extra"), [(2, [0]), (4, [0]), (4, None), (5, [0, 0]), (5, [2, 0])])
def test_bands_that_would_be_lost_are_refused(tmp_path, bands, extra):
    tiff(tmp_path / "a.tif", bands, extra)
    with pytest.raises(DataError, match=rf"a.tif: {bands} bands, and a picture has 1 or 3; .* \(n, {bands}, h, w\)"):
        load(str(tmp_path))
    assert len(all_of(tmp_path, ask=False).values) == 1


@pytest.mark.parametrize(("bands", "extra"), [(1, None), (3, None), (2, [2]), (4, [2])])
def test_grey_colour_and_transparency_are_not(tmp_path, bands, extra):
    pixels = tiff(tmp_path / "a.tif", bands, extra)
    found = all_of(tmp_path).values[0]
    assert found.shape[0] == (1 if bands < 3 else 3)
    if extra is None:
        assert np.array_equal(found.permute(1, 2, 0), pixels)


def deep(folder, most=4096, n=6):
    values = [RNG.integers(0, most, (8, 8)).astype(np.uint16) for _ in range(n)]
    values[0][0, :2] = 0, most - 1
    for at, one in enumerate(values):
        Image.fromarray(one).save(folder / f"{at}.png")
    return np.stack(values)


def test_scans_of_twelve_bits_are_told_and_cured(tmp_path):
    values = deep(tmp_path)
    data = load(str(tmp_path))
    (line,) = [note for note in data.notes if "--range" in note]
    assert line.startswith("values 0 to 4095 of 0 to 65535; --range 0,4095 makes these black and white")
    for limits in ("auto", "0,4095", (0, 4095)):
        raw = all_of(tmp_path, range=limits)
        assert raw.range == (0, 4095)
        assert "values 0 to 4095 become 0 to 255 (--range)" in raw.notes
        assert np.abs(raw.values[:, 0].numpy() - values / 4095 * 255).max() <= 0.5
    raw = all_of(tmp_path, range="0,2000")
    assert raw.values[:, 0].numpy()[values >= 2000].min() == 255
    assert any("with values beyond, cut there" in note for note in raw.notes)


def test_masks_of_zero_and_one_are_told_and_cured(tmp_path):
    for at in range(4):
        Image.fromarray(noise(8, 8, most=2)).save(tmp_path / f"{at}.png")
    assert all_of(tmp_path).doubts[0].startswith("values 0 to 1 of 0 to 255; --range 0,1 makes these black and white")
    raw = all_of(tmp_path, range="0,1")
    assert set(raw.values.flatten().tolist()) == {0, 255}
    assert raw.doubts == ()
    with pytest.raises(DataError, match=r"8 bits, values 0 to 1, and --range 0,4095 goes beyond 0,255"):
        all_of(tmp_path, range="0,4095")


def test_whole_ranges_are_not_told(tmp_path):
    deep(tmp_path, most=65536)
    assert all_of(tmp_path).doubts == ()


def test_a_range_for_two_kinds_of_pixels_is_refused(tmp_path):
    deep(tmp_path)
    Image.fromarray(noise(8, 8)).save(tmp_path / "z.png")
    with pytest.raises(DataError, match="mixes 6 pictures of 16 bits with 1 of 8, which have no range in common"):
        all_of(tmp_path, range="auto")


def test_floating_pixels_are_read_over_a_range(tmp_path):
    values = RNG.random((3, 8, 8), dtype=np.float32) * 2 - 1
    for at, one in enumerate(values):
        Image.fromarray(one).save(tmp_path / f"{at}.tif")
    found = all_of(tmp_path, range="-1,1").values[:, 0].numpy()
    assert np.abs(found - (values + 1) * 127.5).max() <= 0.51


def sprites(folder, mode="RGBA"):
    for at in range(5):
        array = np.full((8, 8, 4), 255, np.uint8)
        array[at:, :, 3] = 0
        Image.fromarray(array).convert(mode).save(folder / f"{at}.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_white_on_nothing_is_refused_with_the_background(tmp_path, mode):
    sprites(tmp_path, mode)
    with pytest.raises(
        DataError,
        match=r"all 5 pictures of .* are the same, every entry 255: .* transparency alone.*--background black",
    ):
        load(str(tmp_path))
    data = load(str(tmp_path), background="black", holdout=0)
    assert sorted(data.train.float().mean((1, 2, 3)).tolist()) == pytest.approx([255 * at / 8 for at in range(5)])
    assert "5 with transparency, laid on black (--background)" in data.notes
    blue = all_of(tmp_path, background="#0000ff", axes="hwc").values[0]
    assert blue.amax((1, 2)).tolist() == [0, 0, 255]


def test_palettes_with_transparency_lie_on_the_background(tmp_path):
    for at in range(2):
        image = Image.fromarray(noise(8, 8, most=3)).convert("P")
        image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] + [0] * 759)
        image.save(tmp_path / f"{at}.png", transparency=0)
    found = all_of(tmp_path, background="#102030").values.permute(0, 2, 3, 1).reshape(-1, 3).unique(dim=0).tolist()
    assert found == [[0, 0, 255], [0, 255, 0], [16, 32, 48]]


def test_other_inks_and_halved_bits_are_told(tmp_path):
    Image.fromarray(noise(8, 8, 3)).convert("CMYK").save(tmp_path / "a.tif")
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "b.png")
    assert "1 in CMYK, made RGB without a colour profile" in all_of(tmp_path).notes
