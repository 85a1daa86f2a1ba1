"""Folders of pictures in every format and state that users bring."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from banach.data import DataError, load, read

RNG = np.random.default_rng(0)
QUARTERS = np.zeros((8, 6, 3), np.uint8)  # four patches that tell every orientation apart
QUARTERS[:4, :3], QUARTERS[:4, 3:], QUARTERS[4:, :3] = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def noise(h=8, w=6, channels=3):
    return RNG.integers(0, 256, (h, w, channels) if channels > 1 else (h, w), dtype=np.uint8)


def put(folder, name, array=None, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise() if array is None else array).save(path, **options)
    return path


def images_of(folder, **options):
    """All pictures in the order of their paths."""
    return read(str(folder), **options).values


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "tif", "tiff", "webp", "gif", "jpg", "jpeg", "JPEG"])
def test_every_format_is_read(tmp_path, suffix):
    jpeg = {"quality": 100, "subsampling": 0}
    options = {"webp": {"lossless": True}, "jpg": jpeg, "jpeg": jpeg}.get(suffix.lower(), {})
    flat = np.repeat(np.repeat(noise(2, 2), 8, 0), 8, 1)
    for name in "ab":
        put(tmp_path, f"{name}.{suffix}", flat, **options)
    found = images_of(tmp_path)
    assert found.shape == (2, 3, 16, 16)
    lossy = suffix.lower() in ("jpg", "jpeg", "gif")
    wrong = (found[0].permute(1, 2, 0).int() - torch.from_numpy(flat).int()).abs()
    assert wrong.float().mean() < (8 if lossy else 1e-9)


def begin_run(folder):
    """What a run leaves, as far as it tells one."""
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "environment.json", "log.txt"):
        (folder / name).write_text("")
    put(folder, "samples/fakes-000000001.png")
    put(folder, "samples-seed0-n64.png")


def test_what_runs_wrote_among_the_data_is_left_out_and_counted(tmp_path):
    put(tmp_path, "a.png", noise())
    put(tmp_path, "b.png", noise())
    alone = load(str(tmp_path), holdout=0)
    begin_run(tmp_path / "runs" / "mine-l2-resnet")
    begin_run(tmp_path / "second")
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    (tmp_path / "begun" / "run.lock").write_text("")
    found = load(str(tmp_path), holdout=0)
    assert found.fingerprint == alone.fingerprint
    assert "left out 3 folders of runs with 4 pictures: begun, mine-l2-resnet, second" in found.notes
    assert not any("ignored" in one for one in found.notes)


def test_a_config_alone_makes_no_run(tmp_path):
    put(tmp_path, "a.png")
    put(tmp_path, "b/b.png")
    (tmp_path / "b" / "config.yaml").write_text("")
    assert len(images_of(tmp_path)) == 2


def test_a_run_is_no_data(tmp_path):
    begin_run(tmp_path / "mine")
    for place, what in ((tmp_path / "mine", "a run"), (tmp_path / "mine" / "samples", "the sample grids of a run")):
        with pytest.raises(DataError, match=f"holds {what}, and its pictures are no data"):
            read(str(place))
    with pytest.raises(DataError, match="holds no pictures, left out 1 folder of runs with 2 pictures: mine"):
        read(str(tmp_path))
    put(tmp_path, "mine/fakes/seed000000-000000.png")  # samples that were asked for one by one may be compared
    assert len(images_of(tmp_path / "mine" / "fakes")) == 1


def test_the_folder_in_which_one_stands_has_its_name(tmp_path, monkeypatch):
    put(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)
    assert read(".").name == tmp_path.name


def test_flat_and_nested_folders_hidden_files_and_others(tmp_path):
    arrays = [noise() for _ in range(4)]
    for name, array in zip(["a.png", "b/c.png", "b/d/e.png", "z.png"], arrays, strict=True):
        put(tmp_path, name, array)
    for name in (".hidden.png", ".thumbs/x.png", "__MACOSX/y.png"):
        put(tmp_path, name)
    (tmp_path / "labels.csv").write_text("")
    (tmp_path / ".DS_Store").write_text("")
    raw = read(str(tmp_path))
    assert torch.equal(raw.values, torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2))
    assert raw.name == tmp_path.name
    assert raw.notes[0].startswith("4 pictures 3x8x6 from ")
    assert "1 file of other kinds ignored" in raw.notes


def test_links_that_lead_back_up_end(tmp_path):
    put(tmp_path, "in/a.png")
    put(tmp_path, "in/b.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "to").symlink_to(tmp_path / "in")
    assert len(images_of(tmp_path)) == 2
    assert len(images_of(tmp_path / "linked")) == 2


def test_the_same_folder_gives_the_same_data(tmp_path, monkeypatch):
    for at in range(20):
        put(tmp_path, f"{at % 3}/{at}.png")
    first = load(str(tmp_path), holdout=0.25)
    walk = os.walk

    def backwards(top, **options):  # a file system that lists in another order
        for where, folders, files in walk(top, **options):
            folders.reverse()
            yield where, folders, files[::-1]

    with monkeypatch.context() as patch:
        patch.setattr(os, "walk", backwards)
        assert load(str(tmp_path), holdout=0.25).fingerprint == first.fingerprint
    put(tmp_path, "20.png")
    assert load(str(tmp_path), holdout=0.25).fingerprint != first.fingerprint


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_followed(tmp_path, turn, kind):
    """Each stored picture is QUARTERS turned away so that its tag turns it back."""
    away = {
        1: QUARTERS,
        2: QUARTERS[:, ::-1],
        3: QUARTERS[::-1, ::-1],
        4: QUARTERS[::-1],
        5: QUARTERS.transpose(1, 0, 2),
        6: QUARTERS.transpose(1, 0, 2)[::-1],  # its tag: turn by 90 degrees clockwise
        7: QUARTERS[::-1, ::-1].transpose(1, 0, 2),
        8: QUARTERS.transpose(1, 0, 2)[:, ::-1],
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    big = np.ascontiguousarray(away).repeat(8, 0).repeat(8, 1)
    options = {"jpg": {"quality": 100}, "webp": {"lossless": True}}.get(kind, {})
    for name in "ab":
        put(tmp_path, f"{name}.{kind}", big, exif=exif, **options)
    expected = torch.from_numpy(QUARTERS.repeat(8, 0).repeat(8, 1)).permute(2, 0, 1).int()
    found = images_of(tmp_path)
    assert found.shape[1:] == expected.shape
    assert (found[0].int() - expected).abs().float().mean() < 4
    resized = images_of(tmp_path, size=(8, 6))
    assert (resized[0].int() - torch.from_numpy(QUARTERS).permute(2, 0, 1)).abs().float().mean() < 12


def test_grey_and_colour_are_told_apart(tmp_path):
    grey = noise(channels=1)
    put(tmp_path, "a.png", grey)
    Image.fromarray(grey).convert("P").save(tmp_path / "b.png")  # a palette of greys
    Image.fromarray(grey).convert("LA").save(tmp_path / "c.png")
    found = images_of(tmp_path)
    assert found.shape == (3, 1, 8, 6)
    assert all(torch.equal(one[0], torch.from_numpy(grey)) for one in found)


def test_palettes_give_their_colours(tmp_path):
    array = np.repeat(np.repeat(noise(2, 2), 4, 0), 3, 1)
    for name in "ab":
        Image.fromarray(array).quantize(16, dither=Image.Dither.NONE).save(tmp_path / f"{name}.png")
    found = images_of(tmp_path)[0].permute(1, 2, 0)
    assert (found.int() - torch.from_numpy(array).int()).abs().max() <= 4


def test_sixteen_bits_become_eight(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16).repeat(8, 0)
    for name in "ab":
        put(tmp_path, f"{name}.png", values)
    raw = read(str(tmp_path))
    assert raw.values[0, 0, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert "2 of 16 bits, reduced to 8" in raw.notes


def test_transparency_lies_on_white(tmp_path):
    array = np.zeros((8, 6, 4), np.uint8)
    array[:4] = (10, 20, 30, 255)
    array[4:6] = (0, 0, 0, 128)
    for name in "ab":
        put(tmp_path, f"{name}.png", array)
    raw = read(str(tmp_path))
    assert raw.values[0, :, 0, 0].tolist() == [10, 20, 30]
    assert raw.values[0, :, 7, 0].tolist() == [255, 255, 255]
    assert raw.values[0, 0, 5, 0].item() == pytest.approx(127, abs=1)
    assert "2 with transparency, laid on white" in raw.notes


def test_cmyk_and_single_bits_are_read(tmp_path):
    Image.fromarray(noise()).convert("CMYK").save(tmp_path / "a.jpg")
    put(tmp_path, "b.png")
    assert images_of(tmp_path).shape == (2, 3, 8, 6)
    (tmp_path / "bits").mkdir()
    for name in "ab":
        Image.fromarray(noise(channels=1)).convert("1").save(tmp_path / "bits" / f"{name}.png")
    assert set(images_of(tmp_path / "bits").flatten().tolist()) == {0, 255}


def mixed(folder, grey, colour):
    for at in range(grey):
        put(folder, f"g{at}.png", noise(channels=1))
    for at in range(colour):
        put(folder, f"c{at}.png")


def test_grey_among_colour_is_repeated(tmp_path):
    mixed(tmp_path, 2, 3)
    raw = read(str(tmp_path))
    assert raw.values.shape[1] == 3
    assert "2 grey among 3 in colour, repeated to three channels" in raw.notes
    assert torch.equal(raw.values[-1, 0], raw.values[-1, 2])


def test_a_stray_in_colour_is_made_grey(tmp_path):
    mixed(tmp_path, 38, 1)
    raw = read(str(tmp_path))
    assert raw.values.shape[1] == 1
    assert "1 in colour among 38 grey, made grey" in raw.notes


def test_colour_among_grey_is_a_question(tmp_path):
    mixed(tmp_path, 3, 2)
    with pytest.raises(
        DataError, match=r"mixes 3 grey pictures with 2 in colour; say which to make: --axes hw \(grey\)"
    ):
        images_of(tmp_path)
    assert images_of(tmp_path, axes="hw").shape[1] == 1
    assert images_of(tmp_path, axes="hwc").shape[1] == 3
    assert "3 grey made colour (--axes)" in read(str(tmp_path), axes="hwc").notes
    with pytest.raises(DataError, match="axes 'bchw' do not fit a folder of pictures; write hw for grey or hwc"):
        images_of(tmp_path, axes="bchw")


def test_broken_files_among_good_ones_are_skipped_counted_and_named(tmp_path):
    for at in range(6):
        put(tmp_path, f"good{at}.jpg", noise(64, 64), quality=95)
    whole = (tmp_path / "good0.jpg").read_bytes()
    (tmp_path / "bad" / "deep").mkdir(parents=True)
    (tmp_path / "bad" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bad" / "empty.png").write_bytes(b"")
    (tmp_path / "bad" / "deep" / "text.gif").write_text("not a picture")
    (tmp_path / "bad" / "zeros.webp").write_bytes(bytes(100))
    Image.fromarray(np.zeros((64, 64), np.float32)).save(tmp_path / "bad" / "float.tiff")
    data = load(str(tmp_path), holdout=0.5)
    assert (len(data.train), len(data.held_out)) == (3, 3)
    (note,) = [note for note in data.notes if note.startswith("skipped")]
    assert note.startswith("skipped 5 unreadable files: ")
    assert "bad/deep/text.gif (not a picture)" in note
    assert "bad/empty.png (not a picture)" in note
    assert note.endswith(", …")
    assert note.count("(") == 3
    good = torch.cat((data.train, data.held_out)).flatten(1).sum(1)
    for name in ("cut.jpg", "empty.png", "deep/text.gif", "zeros.webp", "float.tiff"):
        (tmp_path / "bad" / name).unlink()
    assert images_of(tmp_path).flatten(1).sum(1).sort().values.tolist() == good.sort().values.tolist()


def test_floating_and_wide_pixels_are_named(tmp_path):
    put(tmp_path, "a.png", noise(channels=1))
    Image.fromarray(np.full((8, 6), 0.5, np.float32)).save(tmp_path / "f.tiff")
    Image.fromarray(np.full((8, 6), 1 << 20, np.int32)).save(tmp_path / "i.tiff")
    (note,) = [note for note in read(str(tmp_path)).notes if note.startswith("skipped")]
    assert (
        "f.tiff (floating-point pixels; say which are black and white with --range LOW,HIGH, or save as .npy)" in note
    )
    assert "i.tiff (32-bit pixels; say which are black and white with --range LOW,HIGH, or save as .npy)" in note


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"holds no pictures; --data needs a folder with png jpg .* files in it or below"
    ):
        load(str(tmp_path))
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match="holds no pictures, 1 other file; --data needs"):
        load(str(tmp_path))
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(
        DataError, match=r"no picture in .* can be read \(1 file; a.png: not a picture\); give a folder"
    ):
        load(str(tmp_path))
    (tmp_path / "a.png").unlink()
    whole = put(tmp_path, "b.jpg", noise(64, 64)).read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[:600])
    with pytest.raises(
        DataError, match=r"no picture in .* can be read \(1 file; b.jpg: .*[Tt]runcated.*\); give a folder"
    ):
        load(str(tmp_path))


def test_mixed_sizes_need_a_size(tmp_path):
    for at, (h, w) in enumerate([(8, 6)] * 3 + [(6, 8)] * 2 + [(5, 5), (4, 4), (3, 3)]):
        put(tmp_path, f"{at}.png", noise(h, w))
    with pytest.raises(
        DataError,
        match=r"different sizes \(3 of 8x6, 2 of 6x8, 1 of 5x5, and 2 more sizes\); choose one, such as --size",
    ):
        load(str(tmp_path))
    raw = read(str(tmp_path), size=6)
    assert raw.values.shape == (8, 3, 6, 6)
    assert "8 brought to 6x6 (--fit crop)" in raw.notes
    assert "3 smaller than that and enlarged" in raw.notes
    assert images_of(tmp_path, size=(4, 7), fit="pad").shape == (8, 3, 4, 7)
    with pytest.raises(DataError, match=r"8 of 8 pictures in .* are not 7x7; choose --fit crop, pad or stretch"):
        load(str(tmp_path), size=7, fit="none")


def test_large_jpegs_are_decoded_small_without_harm(tmp_path):
    patches = np.random.default_rng(0).integers(0, 256, (32, 64), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    for name in "ab":
        put(tmp_path, f"{name}.jpg", patches, quality=95)
    found = images_of(tmp_path, size=(16, 32))[0, 0].int().numpy()
    with Image.open(tmp_path / "a.jpg") as image:
        whole = np.asarray(image.resize((32, 16), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(found - whole).mean() < 0.8, "1.6 if decoded at the size asked, 0.4 at twice that"


def test_folders_beyond_memory_are_refused(tmp_path, monkeypatch):
    for name in "ab":
        put(tmp_path, f"{name}.png")
    monkeypatch.setattr("banach.memory.available", lambda: 500)
    with pytest.raises(
        DataError, match=r"2 pictures of 3x8x6 would take .* GiB of memory and .* GiB are free; choose a smaller --size"
    ):
        load(str(tmp_path), cache="never")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_without_permission_are_skipped(tmp_path):
    for name in "abc":
        put(tmp_path, f"{name}.png")
    (tmp_path / "c.png").chmod(0)
    assert any("c.png" in note for note in read(str(tmp_path)).notes)
