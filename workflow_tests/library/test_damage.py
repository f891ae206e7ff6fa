"""One bit changed in any kind of kept file is found when the file is read, or changes nothing."""

import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from run_files import RUN, make_run, metadata

from ffensembles.analyses.tidy import (
    RUN_KEYS,
    read_frame,
    read_history,
    read_run_frames,
    with_keys,
    write_frame,
)
from ffensembles.datasets import DATASETS
from ffensembles.datasets.loading import load
from ffensembles.ensembles import find_ensembles
from ffensembles.errors import FFEnsemblesError, StoreError
from ffensembles.representations.store import open_tree, save_tree
from ffensembles.representations.weights import load_weights
from ffensembles.study.export import export_runs, import_runs
from ffensembles.training.cache import Cache
from ffensembles.training.loop import State
from ffensembles.training.metadata import read_run
from ffensembles.training.run import read_checkpoint, write_checkpoint

FLIPS = 60


def damaged(whole: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """Flip one bit of a content at a time: in every byte of a small one, else at some places.

    Those are both ends, where formats describe themselves, and others by chance.
    """
    chance = random.Random(name)
    places = set(range(len(whole)))
    if len(whole) > 600:
        ends = {*range(FLIPS), *range(len(whole) - FLIPS, len(whole))}
        places = ends | set(chance.sample(range(len(whole)), FLIPS))
    for place in sorted(places):
        content = bytearray(whole)
        content[place] ^= 1 << chance.randrange(8)
        yield place, bytes(content)


def flipped(path: Path) -> Iterator[int]:
    """Flip one bit of a file at a time, and restore it at the end."""
    whole = path.read_bytes()
    for place, content in damaged(whole, path.name):
        path.write_bytes(content)
        yield place
    path.write_bytes(whole)


def check(path: Path, read: Callable[[], Any], same: Callable[[Any, Any], bool]) -> float:
    """Check that each flip is found or harmless; return which share was found."""
    whole, found, n = read(), 0, 0
    for place in flipped(path):
        n += 1
        try:
            again = read()
        except FFEnsemblesError as error:
            assert path.name in str(error), error  # noqa: PT017
            found += 1
        else:
            assert same(again, whole), f"byte {place} of {path.name}: another content, no word"
    assert same(read(), whole)
    return found / n


def same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "results" / "runs" / RUN.name)


def test_weights(run: Path):
    path = run / "weights.safetensors"
    assert check(path, lambda: load_weights(path), same_arrays) == 1


def test_metadata(run: Path):
    path = run / "run.json"
    found = check(path, lambda: read_run(path), dict.__eq__)
    assert found > 0.7  # the rest is white space, or a letter of an escape


def test_history(run: Path):
    path = run / "history.csv"
    assert check(path, lambda: read_history(path), pd.DataFrame.equals) == 1


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    keys = {**RUN.keys, "held_out": pd.NA}
    rows = pd.DataFrame({"layer": [1, 2, 3], "size": rng.random(3), "name": ["a", None, "c"]})
    return rows.assign(**keys)[[*RUN_KEYS, "layer", "size", "name"]].astype(
        {"held_out": "Int64", "seed": "Int64", "layer": "Int64"}
    )


@pytest.mark.parametrize("name", ["sizes.csv", "sizes.parquet"])
def test_tidy_frames(tmp_path: Path, name: str):
    path = tmp_path / name
    write_frame(frame(), path)
    assert check(path, lambda: read_frame(path), pd.DataFrame.equals) == 1


def test_the_checksum_of_a_csv_frame(tmp_path: Path):
    write_frame(frame(), tmp_path / "sizes.csv")
    for _ in flipped(tmp_path / ".sizes.csv.sha256"):
        try:
            again = read_frame(tmp_path / "sizes.csv")
        except FFEnsemblesError:
            continue
        pd.testing.assert_frame_equal(again, frame())  # white space


def tree() -> xr.DataTree:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    layer = xr.Dataset(
        {"activation": (("presentation", "neuroid"), rng.random((40, 7), np.float32))},
        coords={
            "stimulus_id": ("presentation", np.arange(40)),
            "label": ("presentation", labels),
            "correct": ("presentation", labels >= 0),
            "neuroid_id": ("neuroid", np.arange(7)),
        },
    )
    root = xr.Dataset(attrs={"model": "FF", "categories": list("abcd"), "held_out": None})
    return xr.DataTree.from_dict({"/": root, "layer1": layer})


@pytest.mark.parametrize("kind", ["activations", "ensembles"])
def test_stores(tmp_path: Path, kind: str):
    path = tmp_path / f"{kind}.zarr.zip"
    parameters = {"quantiles": [0.9], "saturated": 1.0}
    content = tree() if kind == "activations" else find_ensembles(tree(), "method1", **parameters)
    save_tree(content, path)
    found = check(path, lambda: open_tree(path).load(), xr.DataTree.identical)
    assert found > 0.5  # the rest are dates and attributes that zip readers ignore


@pytest.mark.parametrize("name", Cache.names)
def test_the_cache_of_trained_runs(run: Path, tmp_path: Path, name: str):
    cache, fingerprint = Cache(tmp_path / "cache", "code"), metadata()["fingerprint"]
    files = [run / each for each in cache.names]
    whole = [path.read_bytes() for path in files]
    place, found = cache.place(fingerprint), 0
    for _, content in damaged((run / name).read_bytes(), name):
        cache.add(fingerprint, files)
        (place / name).unlink()  # else the same file as the result's: a hard link
        (place / name).write_bytes(content)
        taken = [tmp_path / "taken" / each for each in cache.names]
        if cache.take(fingerprint, taken):
            assert read_run(taken[2]) == read_run(run / "run.json")
            assert [path.read_bytes() for path in taken[:2]] == whole[:2]
        else:
            assert not place.exists()  # it is trained again
            found += 1
    assert found > 30


def test_checkpoints(tmp_path: Path):
    path = tmp_path / "checkpoint.safetensors"
    state = State({"w": np.arange(5.0), "m": np.ones(3, np.float32)}, {"stage": 1, "epoch": 5})
    write_checkpoint(path, state, "origin")
    assert read_checkpoint(path, "origin").progress == {"stage": 1, "epoch": 5}
    for _ in flipped(path):
        assert read_checkpoint(path, "origin") is None  # training starts from the beginning


@pytest.fixture
def idx(tmp_path: Path) -> tuple[Any, Path]:
    """MNIST in small, in a data folder."""
    raw, files = tmp_path / "data" / "MNIST" / "raw", {}
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in DATASETS["mnist"].files:
        n = 30 if name.startswith("train") else 20
        shape = (n, 28, 28) if "images" in name else (n,)
        head = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
        body = rng.integers(0, 10, shape).astype(np.uint8).tobytes()
        (raw / name).write_bytes(gzip.compress(head + body, mtime=0))
        files[name] = md5((raw / name).read_bytes()).hexdigest()
    nowhere = ("http://127.0.0.1:9/",)
    return replace(DATASETS["mnist"], files=files, urls=nowhere), raw


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_unpacked_images(idx: tuple[Any, Path], name: str):
    entry, raw = idx
    first = load(entry, "test", folder=raw.parents[1])
    for _ in flipped(raw / name):  # found, and unpacked again
        again = load(entry, "test", folder=raw.parents[1])
        assert np.array_equal(first.images, again.images)
        assert np.array_equal(first.labels, again.labels)


def test_downloaded_images(idx: tuple[Any, Path]):
    entry, raw = idx
    archive = raw / "t10k-labels-idx1-ubyte.gz"
    for _ in flipped(archive):
        with pytest.raises(FFEnsemblesError, match=archive.name):
            load(entry, "test", folder=raw.parents[1])


def test_exported_runs(run: Path, tmp_path: Path):
    archive, there = tmp_path / "runs.zip", tmp_path / "there"
    export_runs(tmp_path / "results", archive)
    whole = {path.name: path.read_bytes() for path in run.iterdir()}
    for place in flipped(archive):
        target = there / str(place)
        try:
            import_runs(archive, target)
        except FFEnsemblesError:
            assert not target.exists()
        else:
            read = {path.name: path.read_bytes() for path in (target / "runs" / RUN.name).iterdir()}
            assert read == whole


def test_a_frame_of_another_run_is_not_put_among_a_studys(tmp_path: Path) -> None:
    run = {"protocol": "p", "dataset": "d", "model": "FF", "held_out": None, "seed": 0}
    path = tmp_path / "sizes.parquet"
    write_frame(with_keys(pd.DataFrame({"size": [1.0]}), {**run, "seed": 1}), path)
    with pytest.raises(StoreError, match="lacks 1 run"):
        list(read_run_frames([path], [run]))
    (frame,) = read_run_frames([path], [{**run, "seed": 1}])
    assert frame["size"].tolist() == [1.0]
