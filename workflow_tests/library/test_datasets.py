"""Data sets: what is loaded, from where, and what is said when a file is not the right one."""

import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from sklearn.datasets import load_digits

from ffensembles.datasets import DATASETS, digits, entries, registry
from ffensembles.datasets.entry import Entry
from ffensembles.datasets.loading import fetch, fetch_checked, load
from ffensembles.datasets.sources import VARIABLE
from ffensembles.errors import DataError

REAL = os.environ.get(VARIABLE)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    """Return an array in MNIST's format, zipped."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Entry, Path]:
    """MNIST in small: an entry with its own checksums, and a source laid out like the real one."""
    monkeypatch.delenv(VARIABLE, raising=False)
    rng = np.random.default_rng(0)
    source = tmp_path / "source"
    (source / "mnist").mkdir(parents=True)
    files = {}
    for name in DATASETS["mnist"].files:
        n = 30 if name.startswith("train") else 20
        shape = (n, 28, 28) if "images" in name else (n,)
        content = idx(rng.integers(0, 10, shape))
        (source / "mnist" / name).write_bytes(content)
        files[name] = md5(content)
    nowhere = ("http://127.0.0.1:9/",)  # no public place answers in tests
    return replace(DATASETS["mnist"], files=files, urls=nowhere), source


def test_every_entry_is_complete():
    assert set(DATASETS) == {"digits", "mnist", "fashionmnist", "cifar10", "svhn"}
    for name, entry in DATASETS.items():
        assert entry.name == name
        assert len(entry.classes) == len(set(entry.classes)) == 10
        assert entry.licence
        assert entry.origin
        assert 0 < entry.mean < 1
        assert 0 < entry.std < 1
        assert bool(entry.files) == (name != "digits")
        assert all(len(checksum) == 32 for checksum in entry.files.values())


def test_the_registry_is_imported_in_no_time():
    slow = "{'torch', 'sklearn', 'matplotlib'}"
    code = f"import sys, ffensembles.datasets; print(set(sys.modules) & {slow})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_digits_are_real_stratified_and_like_mnist():
    train, test = load("digits", "train"), load("digits", "test")
    assert train.images.shape == (1437, 1, 28, 28)
    assert test.images.shape == (360, 1, 28, 28)
    assert train.images.dtype == np.uint8
    frame = train.images.copy()
    frame[:, :, 4:24, 4:24] = 0
    assert not frame.any()
    assert np.ptp(np.bincount(test.labels)) <= 2
    joined = np.concatenate([train.labels, test.labels])
    assert np.bincount(joined).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    scaled = train.images / 255
    assert scaled.mean() == pytest.approx(DATASETS["digits"].mean, abs=2e-3)
    assert scaled.std() == pytest.approx(DATASETS["digits"].std, abs=2e-3)


def test_digits_are_those_that_scikit_learn_loads():
    bunch, (pictures, labels) = load_digits(), digits._pictures()
    assert np.array_equal(pictures, bunch.images)
    assert np.array_equal(labels, bunch.target)


def test_the_split_of_digits_is_fixed_by_its_seed():
    assert np.array_equal(load("digits", "test").images, load("digits", "test").images)
    assert not np.array_equal(load("digits", "test").images, load("digits", "test", seed=1).images)


def test_a_part_of_a_data_set_keeps_its_proportions():
    whole, part = load("digits", "train"), load("digits", "train", limit=500)
    assert len(part.labels) == 500
    expected = np.bincount(whole.labels) * 500 / 1437
    assert (np.abs(np.bincount(part.labels) - expected) < 1).all()
    assert np.array_equal(part.images, whole.images[part.stimulus_id])
    assert not np.array_equal(
        part.stimulus_id, load("digits", "train", limit=500, seed=1).stimulus_id
    )
    with pytest.raises(DataError, match=r"train_images asks for 9999 .* has 1437"):
        load("digits", "train", limit=9999)


def test_files_come_from_a_local_folder(small: tuple[Entry, Path], tmp_path: Path):
    entry, source = small
    train = load(entry, "train", source=str(source), folder=tmp_path / "data")
    assert train.images.shape == (30, 1, 28, 28)
    again = load(entry, "test", folder=tmp_path / "data")  # what was fetched is found again
    assert again.labels.shape == (20,)


def test_files_come_from_where_the_environment_says(
    small: tuple[Entry, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    entry, source = small
    monkeypatch.setenv(VARIABLE, str(source))
    assert len(fetch(entry, folder=tmp_path / "a")) == 4
    with pytest.raises(DataError, match="elsewhere"):  # what is configured comes first
        fetch(replace(entry), source=str(tmp_path / "elsewhere"), folder=tmp_path / "b")


def test_files_come_from_a_mirror(small: tuple[Entry, Path], tmp_path: Path):
    entry, source = small

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=source)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}"
        split = load(entry, "test", source=mirror, folder=tmp_path / "data")
        server.shutdown()
    assert split.images.shape == (20, 1, 28, 28)


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_wrong_file_is_named_and_not_kept(small: tuple[Entry, Path], tmp_path: Path, damage: str):
    entry, source = small
    name = "train-images-idx3-ubyte.gz"
    file = source / "mnist" / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
        found = "no such file"
    else:
        bad = content[:100] if damage == "truncated" else content[:-1] + b"x"
        file.write_bytes(bad)
        found = f"md5 is {md5(bad)}, {len(bad)} bytes"
    with pytest.raises(DataError) as caught:
        fetch(entry, source=str(source), folder=tmp_path / "data")
    said = str(caught.value)
    assert (
        f"mnist: {name} could not be downloaded or found (md5 {entry.files[name]} expected)" in said
    )
    assert f"{file}: {found}" in said
    assert f"Put the official file at {tmp_path / 'data' / 'MNIST' / 'raw' / name}" in said
    assert VARIABLE in said
    assert not list((tmp_path / "data" / "MNIST" / "raw").glob("*train-images*"))


def test_a_bad_copy_in_the_data_folder_is_fetched_anew(
    small: tuple[Entry, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    entry, source = small
    copy = tmp_path / "data" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"half a downl")
    fetch(entry, source=str(source), folder=tmp_path / "data")
    assert md5(copy.read_bytes()) == entry.files[copy.name]
    assert "fetching it again" in caplog.text


def test_a_truncated_unpacked_file_is_unpacked_again(small: tuple[Entry, Path], tmp_path: Path):
    entry, source = small
    first = load(entry, "train", source=str(source), folder=tmp_path / "data")
    unpacked = tmp_path / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    unpacked.write_bytes(unpacked.read_bytes()[:500])
    again = load(entry, "train", folder=tmp_path / "data")
    assert np.array_equal(first.images, again.images)


def test_a_changed_unpacked_file_is_unpacked_again(
    small: tuple[Entry, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    entry, source = small
    first = load(entry, "train", source=str(source), folder=tmp_path / "data")
    unpacked = tmp_path / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = bytearray(unpacked.read_bytes())
    content[100] ^= 1
    unpacked.write_bytes(content)
    again = load(entry, "train", folder=tmp_path / "data")
    assert np.array_equal(first.images, again.images)
    assert f"{unpacked}: has changed since it was unpacked" in caplog.text


def test_what_an_older_torchvision_left_is_not_read(small: tuple[Entry, Path], tmp_path: Path):
    entry, source = small
    left = tmp_path / "data" / "MNIST" / "processed"
    left.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):  # which no checksum knows
        torch.save((torch.zeros(7, 28, 28, dtype=torch.uint8), torch.zeros(7)), left / name)
    test = load(entry, "test", source=str(source), folder=tmp_path / "data")
    assert test.images.shape == (20, 1, 28, 28)
    assert test.images.any()


def test_a_folder_in_place_of_a_file_in_the_data_folder_is_told(
    small: tuple[Entry, Path], tmp_path: Path
):
    entry, source = small
    path = tmp_path / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.mkdir(parents=True)
    with pytest.raises(
        DataError, match=r"idx3-ubyte\.gz: cannot be read or replaced .*data\.folder"
    ):
        fetch(entry, source=str(source), folder=tmp_path / "data")


def test_a_source_that_is_a_file_is_told(small: tuple[Entry, Path], tmp_path: Path):
    entry, _ = small
    source = tmp_path / "mnist.zip"
    source.write_bytes(b"")
    with pytest.raises(DataError, match=r"mnist\.zip: is a file; name the folder or http mirror"):
        fetch(entry, source=str(source), folder=tmp_path / "data")


def test_a_folder_in_place_of_a_file_is_told(small: tuple[Entry, Path], tmp_path: Path):
    entry, source = small
    file = source / "mnist" / "train-images-idx3-ubyte.gz"
    file.unlink()
    file.mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        fetch(entry, source=str(source), folder=tmp_path / "data")
    file.rmdir()
    (source / "mnist").rename(source / "other")
    (source / "mnist").write_bytes(b"")
    with pytest.raises(DataError, match="Not a directory"):
        fetch(entry, source=str(source), folder=tmp_path / "data")


def test_the_record_of_a_data_set_is_read_by_nobody(tmp_path: Path):
    """It dates the data for the workflow; damage to its content changes no result."""
    record = tmp_path / "digits.json"
    fetch_checked("digits", record, source=None, folder=tmp_path)
    assert json.loads(record.read_text())["name"] == "digits"
    first = load("digits", "test", folder=tmp_path).images
    record.write_bytes(record.read_bytes()[::-1])
    assert np.array_equal(load("digits", "test", folder=tmp_path).images, first)


def test_an_unknown_data_set_is_no_other_one():
    with pytest.raises(
        DataError, match="mnst: no such data set; there are digits, mnist, fashionmnist"
    ):
        load("mnst", "train")


def test_cifar10_in_its_binary_format(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = {
        name: np.column_stack([rng.integers(0, 10, (4, 1)), rng.integers(0, 256, (4, 3072))])
        for name in [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, array in rows.items():
            content = array.astype(np.uint8).tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(packed.getvalue())
    entry = replace(DATASETS["cifar10"], files={"cifar-10-binary.tar.gz": md5(packed.getvalue())})
    train = load(entry, "train", source=str(tmp_path), folder=tmp_path / "data")
    assert train.images.shape == (20, 3, 32, 32)
    second = rows["data_batch_1.bin"][1]
    assert train.labels[1] == second[0]
    assert train.images[1, 2, 0, 5] == second[1 + 2 * 1024 + 5]
    assert load(entry, "test", folder=tmp_path / "data").images.shape == (4, 3, 32, 32)


def test_svhn_in_its_matlab_format(tmp_path: Path):
    rng = np.random.default_rng(0)
    (tmp_path / "svhn").mkdir()
    files, pixels = {}, rng.integers(0, 256, (32, 32, 3, 5)).astype(np.uint8)
    for split in ("train", "test"):
        path = tmp_path / "svhn" / f"{split}_32x32.mat"
        savemat(path, {"X": pixels, "y": np.array([[1], [10], [3], [9], [10]], np.uint8)})
        files[path.name] = md5(path.read_bytes())
    entry = replace(DATASETS["svhn"], files=files)
    test = load(entry, "test", source=str(tmp_path), folder=tmp_path / "data")
    assert test.labels.tolist() == [1, 0, 3, 9, 0]  # the files call the digit 0 class 10
    assert test.images.shape == (5, 3, 32, 32)
    assert test.images[4, 1, 7, 9] == pixels[7, 9, 1, 4]


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, name: str):
    entry = DATASETS[name]
    files = dict.fromkeys(entry.files, md5(b"rubbish"))
    (tmp_path / name).mkdir()
    for file in files:
        (tmp_path / name / file).write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"(?s)cannot be read.*delete it and start"):
        load(replace(entry, files=files), "train", source=str(tmp_path), folder=tmp_path / "data")


@pytest.mark.skipif(not REAL, reason=f"{VARIABLE} names no folder of the real files")
@pytest.mark.parametrize("name", ["mnist", "fashionmnist"])
def test_the_real_files(name: str, tmp_path: Path):
    train, test = (load(name, split, folder=tmp_path) for split in ("train", "test"))
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert np.bincount(test.labels, minlength=10).sum() == 10_000
    scaled = train.images / 255
    assert scaled.mean() == pytest.approx(DATASETS[name].mean, abs=1e-4)
    assert scaled.std() == pytest.approx(DATASETS[name].std, abs=1e-4)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((2, 1, 28, 28)), [0, 1], "images of type float64; needed are values 0 to 255"),
        (np.zeros((2, 28, 28), np.uint8), [0, 1], r"images of shape \(2, 28, 28\); needed is"),
        (np.zeros((2, 3, 28, 28), np.uint8), [0, 1], r"images of shape \(2, 3, 28, 28\)"),
        (np.zeros((2, 1, 28, 28), np.uint8), [0], r"labels of shape \(1,\) for 2 images"),
        (np.zeros((2, 1, 28, 28), np.uint8), [0, 10], "not whole numbers from 0 to 9"),
        (np.zeros((2, 1, 28, 28), np.uint8), [0.0, 0.5], "not whole numbers from 0 to 9"),
    ],
)
def test_what_a_loader_returns_is_checked(
    monkeypatch: pytest.MonkeyPatch, images: np.ndarray, labels: list[float], said: str
):
    monkeypatch.setattr(digits, "load", lambda *given: (images, np.asarray(labels)))
    with pytest.raises(DataError, match=rf"digits: ffensembles\.datasets\.digits\.load .*{said}"):
        load("digits", "test")


def test_a_loader_need_know_no_public_place(small: tuple[Entry, Path], tmp_path: Path):
    entry, source = small
    own = replace(entry, urls=(), loader="digits")  # a module without `mirrors`
    assert len(fetch(own, source=str(source), folder=tmp_path / "data")) == 4
    with pytest.raises(DataError, match="could not be downloaded or found"):
        fetch(own, source=None, folder=tmp_path / "other")


def test_colour_images_without_statistics_of_channels_are_told():
    colour = replace(DATASETS["svhn"], channel_mean=(), channel_std=())
    with pytest.raises(DataError, match="svhn: its entry gives no channel_mean"):
        colour.scale(by_channel=True)
    assert colour.scale() == ((colour.mean,) * 3, (colour.std,) * 3)
    assert DATASETS["mnist"].scale(by_channel=True) == ((0.1307,), (0.3081,))


def test_an_entry_and_its_file_have_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = Path(entries.__path__[0], "digits.py").read_text()
    (tmp_path / "other.py").write_text(text)
    monkeypatch.setattr(entries, "__path__", [*entries.__path__, str(tmp_path)])
    with pytest.raises(
        ValueError, match="declares 'digits'; give the file and what it declares one"
    ):
        registry._registered()
    (tmp_path / "other.py").write_text(text.replace('name="digits"', 'name="other"'))
    monkeypatch.delitem(sys.modules, f"{entries.__name__}.other")
    assert {*registry._registered()} == {*DATASETS, "other"}
    monkeypatch.delitem(sys.modules, f"{entries.__name__}.other")


def test_no_digit_is_in_both_splits():
    def joined(seed):
        splits = [load("digits", split, seed=seed) for split in ("train", "test")]
        return Counter(
            (x.tobytes(), int(c)) for s in splits for x, c in zip(s.images, s.labels, strict=True)
        )

    assert joined(0) == joined(1)
    assert joined(0).total() == 1797


def test_images_and_labels_are_those_of_the_files(small, tmp_path):
    entry, source = small
    for split, name in (("train", "train"), ("test", "t10k")):
        found = load(entry, split, source=str(source), folder=tmp_path / "data")
        pixels, labels = (
            gzip.decompress((source / "mnist" / f"{name}-{kind}-ubyte.gz").read_bytes())
            for kind in ("images-idx3", "labels-idx1")
        )
        assert found.images.tobytes() == pixels[16:]
        assert found.labels.tolist() == list(labels[8:])
