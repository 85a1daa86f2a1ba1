"""Named sets, on small archives in the real formats; torchvision's own loaders read the same from them."""

import csv
import functools
import gzip
import hashlib
import http.server
import os
import pickle
import struct
import tarfile
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from banach.data import DataError, data_root, download, load, named, read

TORCHVISION = "torchvision.datasets"
RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_DATA", str(tmp_path / "sets"))
    monkeypatch.setattr(named, "DEBIAN_FASHION", tmp_path / "debian")
    return tmp_path / "sets"


@pytest.fixture
def mirror(tmp_path):
    """A folder, and the address under which a server gives its files."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def bytes_of(*shape, below=256):
    return RNG.integers(0, below, shape, dtype=np.uint8)


def write_idx(path, array, zipped):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = struct.pack(f">{array.ndim + 1}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def make_mnist(folder, zipped=True, train=12, test=5):
    made = {}
    for prefix, n in (("train", train), ("t10k", test)):
        made[prefix] = bytes_of(n, 28, 28), bytes_of(n, below=10)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", made[prefix][0], zipped)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", made[prefix][1], zipped)
    return made


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
@pytest.mark.parametrize("zipped", [True, False])
def test_idx_sets_are_read_by_part(root, name, folder, zipped):
    made = make_mnist(root / folder / "raw", zipped)
    for split, prefix in ((None, "train"), ("train", "train"), ("test", "t10k")):
        data = load(name, split=split, holdout=0)
        order = np.lexsort(data.train.flatten(1).numpy().T)
        expected = np.lexsort(made[prefix][0].reshape(len(made[prefix][0]), -1).T)
        assert np.array_equal(data.train[order, 0], made[prefix][0][expected])
        assert np.array_equal(data.labels[order], made[prefix][1][expected])
    assert len(read(f"{name}:split=all").values) == 17
    assert f"17 grey images 28x28, whole, from {root / folder / 'raw'}" in read(name, split="all").notes
    if not zipped:
        datasets = pytest.importorskip(TORCHVISION)
        for train in (True, False):
            theirs = getattr(datasets, folder)(str(root), train=train)
            ours = read(name, split="train" if train else "test")
            assert torch.equal(theirs.data, ours.values[:, 0])
            assert torch.equal(theirs.targets, ours.labels)


def test_debians_fashion_mnist_is_found(root, tmp_path):
    made = make_mnist(tmp_path / "debian")
    assert np.array_equal(read("fashion-mnist").values[:, 0], made["train"][0])
    assert read("FashionMNIST").class_names[9] == "Ankle boot"
    with pytest.raises(DataError, match="mnist is not on this machine"):
        load("mnist")


def test_classes_are_chosen_by_number_and_name(root):
    make_mnist(root / "FashionMNIST" / "raw", train=200)
    for classes in ((1, 7), ("Trouser", "sneaker"), "1,7", ("1", 7)):
        data = load("fashion-mnist", classes=classes)
        assert sorted(data.labels.unique().tolist()) == [1, 7]
        assert "kept: classes" in " ".join(data.notes)
    with pytest.raises(DataError, match="fashion-mnist has no class 12; its classes are 0 T-shirt/top, 1 Trouser"):
        load("fashion-mnist", classes=(1, 12))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "celeba"])
def test_a_missing_set_says_how_to_fetch_it(root, name):
    with pytest.raises(
        DataError, match=rf"{name} is not on this machine \(no .*\); fetch it with: banach download {name}$"
    ):
        load(name)
    with pytest.raises(DataError, match=f"{name} has no part 'val'; choose train, test or all"):
        load(name, split="val")
    assert not root.exists(), "reading must not make folders"


def test_the_root_is_the_environments_or_the_cache(monkeypatch):
    monkeypatch.setenv("BANACH_DATA", "~/somewhere")
    assert data_root().is_absolute()
    assert data_root().name == "somewhere"
    monkeypatch.delenv("BANACH_DATA")
    assert data_root().parts[-3:] == (".cache", "banach", "data")


def make_cifar(root, protocol, n=4):
    """Batches as the published ones: a dict of texts, an array and a list."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    made = {}
    for name in (*(f"data_batch_{at}" for at in range(1, 6)), "test_batch"):
        batch = {"batch_label": name, "labels": bytes_of(n, below=10).tolist(), "data": bytes_of(n, 3072)}
        batch["filenames"] = [f"{at}.png" for at in range(n)]
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
        made[name] = batch
    labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": labels}, protocol=protocol))
    return folder, made


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_cifar_is_read_by_part(root, protocol):
    _, made = make_cifar(root, protocol)
    raw = read("cifar10")
    expected = np.concatenate([made[f"data_batch_{at}"]["data"] for at in range(1, 6)]).reshape(-1, 3, 32, 32)
    assert np.array_equal(raw.values, expected)
    assert raw.labels.tolist() == [one for at in range(1, 6) for one in made[f"data_batch_{at}"]["labels"]]
    assert np.array_equal(read("cifar10", split="test").values.reshape(4, -1), made["test_batch"]["data"])
    assert len(read("cifar10:split=all").values) == 24


def test_cifar_agrees_with_torchvision(root, monkeypatch):
    datasets = pytest.importorskip(TORCHVISION)
    folder, _ = make_cifar(root, 2)

    def stamped(names):
        return [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()] for name in names]

    monkeypatch.setattr(datasets.CIFAR10, "train_list", stamped([f"data_batch_{at}" for at in range(1, 6)]))
    monkeypatch.setattr(datasets.CIFAR10, "test_list", stamped(["test_batch"]))
    (name, md5), *_ = stamped(["batches.meta"])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    theirs = datasets.CIFAR10(str(root))
    ours = read("cifar10")
    assert np.array_equal(theirs.data, ours.values.permute(0, 2, 3, 1))
    assert theirs.targets == ours.labels.tolist()
    assert tuple(theirs.classes) == ours.class_names


def test_python_2_batches_are_read(root):
    """As the published files are: protocol 2, bytes as texts, written by Python 2's numpy."""
    folder, _ = make_cifar(root, 2)
    array = bytes_of(2, 3072)
    content = pickle.dumps({"data": array, "labels": [1, 2]}, protocol=2)
    old = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != content
    (folder / "test_batch").write_bytes(old)
    assert np.array_equal(read("cifar10", split="test").values.reshape(2, -1), array)


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


def test_cut_and_foreign_batches_are_refused_and_run_nothing(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, _ = make_cifar(root, 4)
    whole = (folder / "data_batch_3").read_bytes()
    for content, said in [
        (whole[:-2000], ".*"),
        (b"", ".*"),
        (pickle.dumps({"labels": [1]}), "'data'"),
        (pickle.dumps(Attack()), r"it asks for posix\.mkdir"),
    ]:
        (folder / "data_batch_3").write_bytes(content)
        with pytest.raises(
            DataError, match=rf"data_batch_3 is not a whole CIFAR-10 batch \({said}\); delete it and run"
        ):
            load("cifar10")
    assert not (tmp_path / "attacked").exists()
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match=r"cifar10 is not on this machine \(no .*data_batch_3\)"):
        load("cifar10")


def make_celeba(root, n=9):
    """The folder and the five lists of the published set; parts 0, 1, 2 in turn."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{at + 1:06}.jpg" for at in range(n)]
    for at, name in enumerate(names):
        face = np.full((218, 178, 3), 20 * at, np.uint8)
        face[50:178, 25:153] = 255 - 20 * at  # the box that is kept
        Image.fromarray(face).save(folder / "img_align_celeba" / name, quality=100, subsampling=0)
    rows = [f"{name} {at % 3}\n" for at, name in enumerate(names)]
    (folder / "list_eval_partition.txt").write_text("".join(rows))
    for name, width in (("list_attr_celeba", 40), ("list_bbox_celeba", 4), ("list_landmarks_align_celeba", 10)):
        lines = [str(n), " ".join(f"c{at}" for at in range(width))]
        lines += [f"{image}  " + " ".join(["1"] * width) for image in names]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "identity_CelebA.txt").write_text("".join(f"{image} 1\n" for image in names))
    return folder, names


def test_celeba_is_cut_as_published(root):
    make_celeba(root)
    raw = read("celeba")
    assert raw.values.shape == (3, 3, 64, 64)
    for image, at in zip(raw.values, (0, 3, 6), strict=True):
        assert (image.int() - (255 - 20 * at)).abs().max() < 25, "the box must leave nothing of the border"
        assert (image.float().mean() - (255 - 20 * at)).abs() < 2
    assert read("celeba", size=32).values.shape == (3, 3, 32, 32)
    whole = read("celeba", size=(218, 178), fit="none").values
    assert (whole[1, :, :40, :20].float().mean() - 60).abs() < 2
    assert len(read("celeba", split="test").values) == 3
    assert len(read("celeba:split=all").values) == 9


def test_celeba_agrees_with_torchvision(root, monkeypatch):
    datasets = pytest.importorskip(TORCHVISION)
    folder, _ = make_celeba(root)
    stamped = [(one, hashlib.md5((folder / name).read_bytes()).hexdigest() if name.endswith("txt") else md5, name)
               for one, md5, name in datasets.CelebA.file_list]  # fmt: skip
    monkeypatch.setattr(datasets.CelebA, "file_list", stamped)
    for split in ("train", "test", "all"):
        theirs = datasets.CelebA(str(root), split=split)
        ours = read("celeba", split=split, size=(218, 178), fit="none").values
        assert len(theirs) == len(ours)
        for at, image in enumerate(ours):
            assert np.array_equal(np.asarray(theirs[at][0]), image.permute(1, 2, 0))


def test_missing_faces_are_named(root):
    folder, names = make_celeba(root)
    (folder / "img_align_celeba" / names[3]).unlink()
    assert any("skipped 1 file, the first 000004.jpg" in note for note in load("celeba").notes)
    for name in names:
        (folder / "img_align_celeba" / name).unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"celeba is not on this machine \(no .*000001.jpg\)"):
        load("celeba")
    with (folder / "list_eval_partition.txt").open("w") as file:
        csv.writer(file).writerow(["image_id", "partition"])
    with pytest.raises(DataError, match="is not CelebA's list of names and parts; delete it and run: banach download"):
        load("celeba")
    (folder / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match=r"celeba is not on this machine \(no .*list_eval_partition.txt\)"):
        load("celeba")


def test_download_fetches_into_the_root(root, mirror, monkeypatch):
    datasets = pytest.importorskip(TORCHVISION)
    source, address = mirror
    made = make_mnist(source)
    stamped = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(source.iterdir())]
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.MNIST, "resources", stamped)
    assert download("mnist") == root
    assert np.array_equal(read("mnist").values[:, 0], made["train"][0])
    assert download("mnist") == root, "a second time finds it whole"


def test_download_of_cifar(root, mirror, monkeypatch):
    datasets = pytest.importorskip(TORCHVISION)
    source, address = mirror
    folder, made = make_cifar(source, 2)
    archive = source / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)

    def md5(path):
        return hashlib.md5(path.read_bytes()).hexdigest()

    monkeypatch.setattr(datasets.CIFAR10, "url", address + archive.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    for key in ("train_list", "test_list"):
        old = getattr(datasets.CIFAR10, key)
        monkeypatch.setattr(datasets.CIFAR10, key, [[name, md5(folder / name)] for name, _ in old])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    download("cifar10")
    assert np.array_equal(read("cifar10", split="test").values.reshape(4, -1), made["test_batch"]["data"])


def test_download_failures_are_one_sentence(root, tmp_path, monkeypatch):
    datasets = pytest.importorskip(TORCHVISION)
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/"])  # nobody listens there
    with pytest.raises(
        DataError, match=r"^mnist could not be fetched into .*: Error downloading train-images"
    ) as caught:
        download("mnist")
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="fashion needs no download; train on it with --data fashion"):
        download("fashion")
    with pytest.raises(ValueError, match="unknown data set 'cifar11'; did you mean cifar10"):
        download("cifar11")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BANACH_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="mnist could not be fetched into"):
        download("mnist")
