"""Array files: every layout comes back as written, every fault is named."""

import numpy as np
import pytest
import torch

from banach.data import DataError, load, read


def save(folder, array, name="x.npy"):
    np.save(folder / name, array)
    return str(folder / name)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", [(50, 7), (50, 2, 30), (50, 2, 8, 9), (50, 1, 4, 5, 6)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int16", "bool"])
def test_arrays_come_back_in_their_units(tmp_path, shape, dtype):
    array = (10 * normal(*shape)).astype(dtype)
    data = load(save(tmp_path, array), holdout=0.2)
    assert (data.kind, data.shape) == ("array", shape[1:])
    assert (data.train.dtype, len(data.train), len(data.held_out)) == (torch.float32, 40, 10)
    assert rows_of(data) == rows_of_array(array)
    rows = torch.tensor([3, 0, 39])
    assert torch.allclose(data.units.to_data(data.batch(rows)), data.train[rows], rtol=1e-5, atol=1e-5)


def rows_of(data):
    both = torch.cat((data.train, data.held_out)).numpy()
    return sorted(map(tuple, both.reshape(len(both), -1).tolist()))


def rows_of_array(array):
    return sorted(map(tuple, array.astype(np.float32).reshape(len(array), -1).tolist()))


def test_axes_are_guessed_and_said_or_given(tmp_path):
    array = normal(20, 8, 9, 3)
    path = save(tmp_path, array)
    data = load(path, holdout=0)
    assert data.shape == (3, 8, 9)
    assert "axes n,x,y,c (guessed; --axes says otherwise)" in data.notes[0]
    assert "20 samples, 3 channels, 8x9; float64, shape (20, 8, 9, 3)" in data.notes[0]
    given = load(path, axes="bdhw", holdout=0)
    assert given.shape == (1, 8, 9, 3)
    assert "axes bdhw (--axes)" in given.notes[0]
    assert "20 samples, 1 channel, 8x9x3; " in given.notes[0]


def test_two_numbers_a_sample_are_points(tmp_path):
    data = load(save(tmp_path, normal(30, 2) + 100))
    assert data.kind == "points"
    assert data.units.method == "standard"


@pytest.mark.parametrize("shape", [(20, 9, 9), (20, 9, 8, 1), (20, 9, 8, 3), (20, 3, 9, 8), (20, 1, 9, 8)])
def test_bytes_are_images(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = load(save(tmp_path, array), holdout=0)
    channels = 3 if 3 in shape else 1
    assert (data.kind, data.train.dtype, data.shape[0]) == ("image", torch.uint8, channels)
    assert data.units.output == "tanh"
    assert any(f"{channels} channel" in note for note in data.notes)
    assert sorted(data.train.flatten().tolist()) == sorted(array.ravel().tolist())


def test_images_in_an_array_can_be_resized(tmp_path):
    array = np.full((4, 8, 8), 200, np.uint8)
    array[1:] = 100
    data = load(save(tmp_path, array), size=12, fit="pad", holdout=0)
    assert data.shape == (1, 12, 12)
    bright = data.train[data.train.amax((1, 2, 3)) == 200]
    assert bright[:, :, 2:10, 2:10].eq(200).all()
    assert data.train[:, :, :2].eq(0).all()


def test_bytes_with_four_channels_are_an_array(tmp_path):
    assert load(save(tmp_path, np.ones((20, 9, 8, 4), np.uint8))).kind == "array"


def test_an_archive_needs_a_key_only_where_it_holds_several(tmp_path):
    a, b = normal(10, 3), normal(10, 4)
    np.savez(tmp_path / "one.npz", a=a)
    np.savez_compressed(tmp_path / "two.npz", a=a, b=b)
    assert load(f"{tmp_path}/one.npz").shape == (3,)
    assert load(f"{tmp_path}/two.npz:b").shape == (4,)
    assert load(f"{tmp_path}/two.npz:b").name == "two.npz:b"
    with pytest.raises(DataError, match=r"holds 2 arrays \(a, b\); name one, --data .*two.npz:a"):
        load(f"{tmp_path}/two.npz")
    with pytest.raises(DataError, match=r"holds no array 'images'; known: a, b"):
        load(f"{tmp_path}/two.npz:images")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"none.npz holds no array"):
        load(f"{tmp_path}/none.npz")
    with pytest.raises(DataError, match=r"holds one array; write it without :b"):
        load(save(tmp_path, a) + ":b")


def test_what_is_not_finite_is_counted_and_found(tmp_path):
    array = normal(20, 3, 5, 6)
    array[7, 2, 1, 4] = np.nan
    array[9, 0, 0, 0] = np.inf
    array[12] = np.nan
    with pytest.raises(DataError, match=r"holds 91 NaN and 1 infinite entries, the first at index \[7, 2, 1, 4\]"):
        load(save(tmp_path, array))


def test_the_index_is_that_of_the_file_whatever_the_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("banach.data.arrays._BLOCK", 10)
    array = normal(6, 5, 8).transpose(2, 0, 1).astype(np.float64)  # axes n, b, c
    array[3, 5, 4] = -np.inf
    with pytest.raises(DataError, match=r"0 NaN and 1 infinite entries, the first at index \[3, 5, 4\]"):
        load(save(tmp_path, array), axes="nbc")


@pytest.mark.parametrize("block", [3, 1 << 22])
def test_what_float32_cannot_hold_is_refused(tmp_path, monkeypatch, block):
    monkeypatch.setattr("banach.data.arrays._BLOCK", block)
    fine = np.stack((normal(50) + 1000, np.full(50, 0.1), np.full(50, 1e9 + 0.1)), 1)
    assert load(save(tmp_path, fine), holdout=0).train[:, 1].eq(torch.tensor(0.1)).all()
    offset = np.stack((normal(50), normal(50) + 1e9), 1)
    with pytest.raises(DataError, match=r"channel 1 varies by .* around 1e\+09, which float32 cannot hold; subtract"):
        load(save(tmp_path, offset))
    with pytest.raises(DataError, match=r"values beyond float32's range of 3.4e38; rescale"):
        load(save(tmp_path, normal(50, 2) * 1e300))
    with pytest.raises(DataError, match=r"channel 0 varies by .* cannot hold"):
        load(save(tmp_path, 2**40 + np.arange(50)[:, None]))
    with pytest.raises(DataError, match=r"channel 0 varies by .* cannot hold"):
        load(save(tmp_path, normal(50, 2) * 1e-60))


def test_a_field_constant_in_each_sample_is_not_taken_for_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("banach.data.arrays._BLOCK", 1)
    field = np.repeat(1e5 + 300 * normal(40, 1, 1, 1), 25, -1).reshape(40, 1, 5, 5) + 1e-4 * normal(40, 1, 5, 5)
    assert load(save(tmp_path, field)).shape == (1, 5, 5)


def test_broken_and_foreign_files_are_refused(tmp_path):
    path = save(tmp_path, normal(100, 3))
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-100])
    with pytest.raises(DataError, match=r"x.npy cannot be read as an array .*; write it again with numpy.save"):
        load(path)
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"x.npy cannot be read as an array"):
        load(path)
    np.savez(tmp_path / "y.npz", a=normal(100, 3))
    (tmp_path / "y.npz").write_bytes((tmp_path / "y.npz").read_bytes()[:-50])
    with pytest.raises(DataError, match=r"y.npz cannot be read as an array"):
        load(f"{tmp_path}/y.npz")
    (tmp_path / "z.npz").write_bytes(whole)
    with pytest.raises(DataError, match=r"z.npz is an .npy file by its content; rename it"):
        load(f"{tmp_path}/z.npz")
    (tmp_path / "t.txt").write_text("1,2")
    with pytest.raises(DataError, match=r"t.txt is not a file that is read; --data takes .npy, .npz, .nc, .* or a"):
        load(f"{tmp_path}/t.txt")


def test_entries_that_are_not_numbers_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}, 1], dtype=object))
    with pytest.raises(DataError, match=r"o.npy holds Python objects; save an array of numbers"):
        load(f"{tmp_path}/o.npy")
    np.savez(tmp_path / "o.npz", o=np.array([{}, 1], dtype=object))
    with pytest.raises(DataError, match=r"o.npz holds Python objects"):
        load(f"{tmp_path}/o.npz")
    for array in (np.array(["a", "b"]), normal(4, 2) + 1j, np.zeros(3, "datetime64[s]")):
        with pytest.raises(DataError, match="entries; give integers or floating-point numbers"):
            load(save(tmp_path, array))


def test_empty_and_single_arrays_are_refused(tmp_path):
    for array in (np.zeros((0, 3)), np.float64(3)):
        with pytest.raises(DataError, match=r"is empty .*; give at least two samples"):
            load(save(tmp_path, array))
    with pytest.raises(DataError, match="holds 1 sample; training needs at least 2"):
        load(save(tmp_path, normal(1, 3)))


def test_image_options_are_refused_for_arrays(tmp_path):
    with pytest.raises(DataError, match=r"--size is for images .*; leave it out, or say .* such as --range 0,1"):
        load(save(tmp_path, normal(9, 3, 8, 8)), size=16)
    with pytest.raises(DataError, match="has no labels to choose classes 1, 7 by"):
        load(save(tmp_path, normal(9, 3)), classes=(1, 7))


def test_arrays_beyond_memory_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("banach.memory.available", lambda: 1 << 20)
    np.lib.format.open_memmap(tmp_path / "big.npy", mode="w+", dtype=np.float32, shape=(1 << 18, 3))
    with pytest.raises(DataError, match=r"big.npy .* would take 0.00586 GiB of memory and 0.000977 GiB are free; save"):
        load(f"{tmp_path}/big.npy", cache="never")
    np.savez(tmp_path / "big.npz", a=np.zeros((1 << 18, 3), np.float32))
    with pytest.raises(DataError, match=r"big.npz:a would take 0.00293 GiB"):
        load(f"{tmp_path}/big.npz")


@pytest.mark.parametrize("wrap", [torch.from_numpy, lambda x: x])
def test_arrays_in_memory_are_copied(wrap):
    array = wrap(normal(10, 3))
    data = load(array, holdout=0)
    assert data.name == "array"
    kept = data.train.clone()
    array[:] = 0
    assert torch.equal(data.train, kept)
    images = np.zeros((10, 1, 8, 8), np.uint8)
    held = read(images)
    images[:] = 9
    assert held.values.eq(0).all()
