"""Named sets, on small archives in the real formats; torchvision's lists of md5 are set to those of the small files."""

import functools
import gzip
import hashlib
import http.server
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from banach.data import DataError, data_root, download, load, named, read

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


def make_mnist(folder, zipped=False, train=12, test=5):
    made = {}
    for prefix, n in (("train", train), ("t10k", test)):
        made[prefix] = bytes_of(n, 28, 28), bytes_of(n, below=10)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", made[prefix][0], zipped)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", made[prefix][1], zipped)
    return made


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_idx_sets_are_read_by_part(root, name, folder):
    made = make_mnist(root / folder / "raw")
    for split, prefix in ((None, "train"), ("train", "train"), ("test", "t10k")):
        data = load(name, split=split, holdout=0)
        order = np.lexsort(data.train.flatten(1).numpy().T)
        expected = np.lexsort(made[prefix][0].reshape(len(made[prefix][0]), -1).T)
        assert np.array_equal(data.train[order, 0], made[prefix][0][expected])
        assert np.array_equal(data.labels[order], made[prefix][1][expected])
    whole = read(f"{name}:split=all")
    assert np.array_equal(whole.values[:, 0], np.concatenate([made["train"][0], made["t10k"][0]]))
    assert whole.labels.tolist() == [*made["train"][1], *made["t10k"][1]]
    assert whole.notes == (f"17 grey images 28x28, whole, from {root / folder / 'raw'}",)


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 3), slice(0, -1), slice(0, 9), slice(5, None)])
def test_cut_idx_files_are_told(root, cut):
    make_mnist(root / "MNIST" / "raw")
    for kind in ("images-idx3", "labels-idx1"):
        file = root / "MNIST" / "raw" / f"t10k-{kind}-ubyte"
        whole = file.read_bytes()
        file.write_bytes(whole[cut])
        with pytest.raises(
            DataError, match=r"MNIST/raw does not hold a whole mnist \(.*\); delete it and run: banach download mnist$"
        ) as caught:
            load("mnist", split="test")
        assert "\n" not in str(caught.value)
        assert len(load("mnist", holdout=0).train) == 12, "the training part is whole"
        file.write_bytes(whole)


def test_images_without_all_labels_are_refused(root):
    make_mnist(root / "MNIST" / "raw")
    write_idx(root / "MNIST" / "raw" / "train-labels-idx1-ubyte", bytes_of(11, below=10), zipped=False)
    with pytest.raises(DataError, match="mnist: 11 labels for 12 samples"):
        load("mnist")


def test_debians_fashion_mnist_is_found(root, tmp_path):
    made = make_mnist(tmp_path / "debian", zipped=True)
    raw = read("FashionMNIST", split="all")
    assert np.array_equal(raw.values[:, 0], np.concatenate([made["train"][0], made["t10k"][0]]))
    assert raw.labels.tolist() == [*made["train"][1], *made["t10k"][1]]
    assert raw.class_names[9] == "Ankle boot"
    assert raw.notes == (f"17 grey images 28x28, whole, from {tmp_path / 'debian'}",)
    with pytest.raises(DataError, match="mnist is not on this machine"):
        load("mnist")
    ours = make_mnist(root / "FashionMNIST" / "raw")
    assert np.array_equal(read("fashion-mnist").values[:, 0], ours["train"][0]), "the user's own come first"
    (tmp_path / "debian" / "t10k-labels-idx1-ubyte.gz").unlink()
    (root / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"fashion-mnist is not on this machine \(no .*raw/train-labels-idx1-ubyte\)"):
        load("fashion-mnist", split="all")


def test_torchvision_is_imported_only_for_sets_that_need_it(root):
    make_mnist(root / "MNIST" / "raw")
    script = (
        "import sys; from banach.data import load; load('fashion'); load('8gaussians:n=10')\n"
        "assert 'torchvision' not in sys.modules; load('mnist'); assert 'torchvision' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


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


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def trust_cifar(monkeypatch, folder):
    """Make the files' md5 those that torchvision expects."""
    for key in ("train_list", "test_list"):
        names = [name for name, _ in getattr(datasets.CIFAR10, key)]
        monkeypatch.setattr(datasets.CIFAR10, key, [[name, md5(folder / name)] for name in names])
    monkeypatch.setitem(datasets.CIFAR10.meta, "md5", md5(folder / "batches.meta"))


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
def test_cifar_is_read_by_part(root, protocol, monkeypatch):
    folder, made = make_cifar(root, protocol)
    trust_cifar(monkeypatch, folder)
    raw = read("cifar10")
    expected = np.concatenate([made[f"data_batch_{at}"]["data"] for at in range(1, 6)]).reshape(-1, 3, 32, 32)
    assert np.array_equal(raw.values, expected)
    assert raw.labels.tolist() == [one for at in range(1, 6) for one in made[f"data_batch_{at}"]["labels"]]
    assert np.array_equal(read("cifar10", split="test").values.reshape(4, -1), made["test_batch"]["data"])
    whole = read("cifar10:split=all")
    assert whole.values.shape == (24, 3, 32, 32)
    assert whole.values.is_contiguous()
    assert whole.labels.tolist() == [one for batch in made.values() for one in batch["labels"]]
    assert whole.class_names[::3] == ("airplane", "cat", "frog", "truck")
    assert whole.notes == (f"24 colour images 32x32, CIFAR-10 whole, from {folder}",)


def test_python_2_batches_are_read(root, monkeypatch):
    """As the published files are: protocol 2, bytes as texts, written by Python 2's numpy."""
    folder, _ = make_cifar(root, 2)
    array = bytes_of(2, 3072)
    content = pickle.dumps({"data": array, "labels": [1, 2]}, protocol=2)
    old = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != content
    (folder / "test_batch").write_bytes(old)
    trust_cifar(monkeypatch, folder)
    assert np.array_equal(read("cifar10", split="test").values.reshape(2, -1), array)


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


def test_damaged_batches_are_refused_and_run_nothing(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, _ = make_cifar(root, 4)
    trust_cifar(monkeypatch, folder)
    whole = (folder / "data_batch_3").read_bytes()
    for content in (whole[:-2000], b"", pickle.dumps({"labels": [1]}), pickle.dumps(Attack())):
        (folder / "data_batch_3").write_bytes(content)
        with pytest.raises(
            DataError,
            match=r"^/.*/data_batch_3 is damaged \(its md5 is not the published one\); delete it and run: banach "
            "download cifar10$",
        ):
            load("cifar10")
    assert not (tmp_path / "attacked").exists()
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match=r"cifar10 is not on this machine \(no .*data_batch_3\)"):
        load("cifar10")


def test_damaged_class_names_of_cifar_are_told(root, monkeypatch):
    """torchvision's download looks at the batches alone, so the remedy is to delete the whole folder."""
    folder, _ = make_cifar(root, 4)
    trust_cifar(monkeypatch, folder)
    (folder / "batches.meta").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load("cifar10")
    assert str(caught.value) == (
        f"{folder} does not hold a whole cifar10 (Dataset metadata file not found or corrupted); delete it and run: "
        "banach download cifar10"
    )


def test_what_cannot_be_opened_says_so(root, monkeypatch):
    folder, _ = make_cifar(root, 4)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "there")

    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", refused)
    with pytest.raises(DataError, match=rf"cifar10 cannot be read from {folder}: .*Permission denied: 'there'"):
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


def trust_celeba(monkeypatch, folder):
    stamped = [(at, md5(folder / file) if file.endswith("txt") else old, file)
               for at, old, file in datasets.CelebA.file_list]  # fmt: skip
    monkeypatch.setattr(datasets.CelebA, "file_list", stamped)


def test_celeba_is_cut_as_published(root, monkeypatch):
    folder, _ = make_celeba(root)
    trust_celeba(monkeypatch, folder)
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


def test_celebas_faces_are_those_of_their_part(root, monkeypatch):
    folder, names = make_celeba(root)
    trust_celeba(monkeypatch, folder)
    for split, expected in (("train", names[0::3]), ("test", names[2::3]), ("all", names)):
        ours = read("celeba", split=split, size=(218, 178), fit="none").values
        for name, image in zip(expected, ours, strict=True):
            with Image.open(folder / "img_align_celeba" / name) as face:
                assert np.array_equal(np.asarray(face), image.permute(1, 2, 0))


def test_missing_faces_are_named(root, monkeypatch):
    folder, names = make_celeba(root)
    trust_celeba(monkeypatch, folder)
    (folder / "img_align_celeba" / names[3]).unlink()
    assert any("skipped 1 file, the first 000004.jpg" in note for note in load("celeba").notes)
    for name in names:
        (folder / "img_align_celeba" / name).unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"celeba is not on this machine \(no .*000001.jpg\)"):
        load("celeba")
    (folder / "list_eval_partition.txt").write_text("image_id,partition\n")
    with pytest.raises(
        DataError,
        match=r"list_eval_partition.txt is damaged \(its md5 .*\); delete it and run: banach download celeba$",
    ):
        load("celeba")
    (folder / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match=r"celeba is not on this machine \(no .*list_eval_partition.txt\)"):
        load("celeba")


def test_download_fetches_into_the_root(root, mirror, monkeypatch):
    source, address = mirror
    made = make_mnist(source, zipped=True)
    stamped = [(path.name, md5(path)) for path in sorted(source.iterdir())]
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.MNIST, "resources", stamped)
    assert download("mnist") == root
    assert np.array_equal(read("mnist").values[:, 0], made["train"][0])
    assert download("mnist") == root, "a second time finds it whole"
    for file in source.iterdir():
        file.unlink()
    (root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"no .*t10k-images-idx3-ubyte\); fetch it with: banach download mnist"):
        load("mnist")
    download("mnist")
    assert np.array_equal(read("mnist", split="test").values[:, 0], made["t10k"][0]), "unpacked from what lies there"


def test_download_of_cifar(root, mirror, monkeypatch):
    source, address = mirror
    folder, made = make_cifar(source, 2)
    archive = source / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)

    monkeypatch.setattr(datasets.CIFAR10, "url", address + archive.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    trust_cifar(monkeypatch, folder)
    download("cifar10")
    assert np.array_equal(read("cifar10", split="test").values.reshape(4, -1), made["test_batch"]["data"])


def test_download_failures_are_one_sentence(root, tmp_path, monkeypatch):
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
