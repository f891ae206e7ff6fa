"""One bit changed in any kind of kept file is found when the file is read, or changes nothing.

`KEPT` has an entry for each kind of file that a study keeps. Files that are found damaged by other
means than an error, and files outside the results folder, have tests of their own below.
"""

import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from run_files import RUN, make_run, metadata

from ffensembles.analyses.tidy import (
    read_frame,
    read_history,
    read_run_frames,
    together,
    with_keys,
    write_frame,
)
from ffensembles.datasets import DATASETS
from ffensembles.datasets.loading import load
from ffensembles.ensembles import find_ensembles
from ffensembles.errors import FFEnsemblesError, StoreError
from ffensembles.plotting.saving import save_figure
from ffensembles.publication.tables import TABLE_KINDS, write_table
from ffensembles.representations.sample import sample_activations
from ffensembles.representations.store import open_tree, save_tree
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.files import check_beside, check_checksums, checksum_file, write_checksums
from ffensembles.study import verify
from ffensembles.study.export import export_runs, import_runs
from ffensembles.study.paths import PATTERNS
from ffensembles.training.cache import Cache
from ffensembles.training.checkpoints import read_checkpoint, write_checkpoint
from ffensembles.training.loop import State
from ffensembles.training.metadata import read_run

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


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "results" / "runs" / RUN.name)


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"layer": [1, 2, 3], "size": rng.random(3), "name": ["a", None, "c"]})
    return with_keys(rows, RUN.keys)


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


def ensembles() -> xr.DataTree:
    return find_ensembles(tree(), "method1", quantiles=[0.9], saturated=1.0)


def a_table(path: Path) -> None:
    rows = pd.DataFrame({"layer": [0, 0], "accuracy": [0.5, 0.6], "n_train": 9, "dead": False})
    kind = TABLE_KINDS["accuracy"]
    frames = (with_keys(rows[i : i + 1], {**RUN.keys, "seed": i}) for i in (0, 1))
    made = kind.make(
        together(frames),
        kind.parameters(kind="accuracy"),
        titles={"digits": "Digits"},
        look_up=lambda *_: None,
    )
    write_table(made, path.with_suffix(""))


def a_figure(path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([1, 2])
    save_figure(figure, path.with_suffix(""), "A caption", {"study": "none"})


def a_noted_text(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("seeds: [0, 1]\n")
    write_checksums(path, [path])


def a_checkpoint(path: Path) -> None:
    state = State({"w": np.arange(5.0), "m": np.ones(3, np.float32)}, {"stage": 1, "epoch": 5})
    write_checkpoint(path, state, "origin")


def the_files_own(path: Path) -> bytes:
    """Check a file by the note beside it, or by the one of its stem, and return its bytes."""
    if checksum_file(path).exists():
        check_beside(path)
    else:
        check_checksums(checksum_file(path.with_suffix("")))
    return path.read_bytes()


@dataclass(frozen=True)
class Kind:
    """A kind of kept file: an example of its path, what makes it, what reads it.

    `found` is the share of flips that have to be found. The rest of them change nothing: white
    space, dates and attributes that zip readers ignore, a letter of an escape.
    """

    path: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    same: Callable[[Any, Any], bool] = bytes.__eq__
    found: float = 1


def same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def of_run(path: Path) -> None:
    make_run(path.parent)


def stored(make: Callable[[], xr.DataTree]) -> Callable[[Path], None]:
    return lambda path: save_tree(make(), path)


def framed(path: Path) -> None:
    write_frame(frame(), path)


TREE = (lambda path: open_tree(path).load(), xr.DataTree.identical)
FRAME = (read_frame, pd.DataFrame.equals)
OF_RUN = f"runs/{RUN.name}"

KEPT: dict[str, list[Kind]] = {
    "weights": [Kind(f"{OF_RUN}/weights.safetensors", of_run, load_weights, same_arrays)],
    "history": [Kind(f"{OF_RUN}/history.csv", of_run, read_history, pd.DataFrame.equals)],
    "metadata": [Kind(f"{OF_RUN}/run.json", of_run, read_run, dict.__eq__, 0.7)],
    "activations": [Kind(f"{OF_RUN}/activations.zarr.zip", stored(tree), *TREE, 0.5)],
    "sample": [
        Kind(
            f"{OF_RUN}/sample.zarr.zip", stored(lambda: sample_activations(tree(), 3)), *TREE, 0.5
        )
    ],
    "ensembles": [Kind(f"{OF_RUN}/method1.zarr.zip", stored(ensembles), *TREE, 0.5)],
    "shuffled": [Kind(f"{OF_RUN}/shuffled-method1.zarr.zip", stored(ensembles), *TREE, 0.5)],
    "frame": [Kind(f"{OF_RUN}/frames/sizes.parquet", framed, *FRAME)],
    "shuffled_frame": [Kind(f"{OF_RUN}/frames/shuffled-sizes.parquet", framed, *FRAME)],
    "tidy": [
        Kind("tidy/sizes.csv", framed, *FRAME),
        Kind("tidy/sharing.parquet", framed, *FRAME),
    ],
    "table": [
        Kind("tables/2023/table1.csv", a_table, *FRAME),
        *(Kind(f"tables/2023/table1.{ending}", a_table, the_files_own)
          for ending in ("md", "tex", "html", "rst")),
    ],
    "figure": [
        Kind(f"figures/2023/figure1.{ending}", a_figure, the_files_own)
        for ending in ("pdf", "png", "rst")
    ],
    "extra_table": [Kind("tables/costs.csv", framed, *FRAME)],
    "extra_figure": [Kind("figures/costs.png", a_figure, the_files_own)],
    "reproduction": [
        Kind("reproduction/2023/numbers.csv", framed, *FRAME),
        Kind("reproduction/2023/reproduction.md", a_noted_text, the_files_own),
    ],
    "extension": [
        Kind(f"{OF_RUN}/extensions/causality.parquet", framed, *FRAME),
        Kind(f"{OF_RUN}/{Cache.readings}", framed, *FRAME),
    ],
    "beyond": [Kind("reproduction/beyond.md", a_noted_text, the_files_own)],
    "configuration": [Kind("configuration.yaml", a_noted_text, the_files_own)],
}  # fmt: skip
"""Every kind of file with a checksum, by its name in `study.paths`."""

ELSEWHERE = {"checkpoint", "cache"}
"""Kinds with a test of their own below: damage leads to another training, not to an error."""

UNREAD = {
    "data", "block", "report", "landing", "log", "run_log", "block_log", "run_benchmark",
    "block_benchmark",
}  # fmt: skip
"""Kinds without a checksum, from which no result is made but a table and a figure of costs."""


def test_every_kind_of_file_is_here_and_known_to_verify():
    assert {*KEPT, *ELSEWHERE, *UNREAD} == {*PATTERNS}
    every = [kind for kinds in KEPT.values() for kind in kinds]
    for kind in every:
        noted = kind.read is the_files_own
        path = checksum_file(kind.path) if noted else Path(kind.path)
        assert verify.reader(path), kind.path
    for name in UNREAD:
        path = Path("results", PATTERNS[name].replace("{", "").replace("}", ""))
        assert verify.reader(path) is None
        assert any(Path(*path.parts[:2]).match(f"*/{known.partition('/')[0]}")
                   for known in verify.UNREAD), path  # fmt: skip


@pytest.mark.parametrize(
    "kind", [kind for kinds in KEPT.values() for kind in kinds], ids=lambda kind: kind.path
)
def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path, kind: Kind):
    path = tmp_path / "results" / kind.path
    path.parent.mkdir(parents=True, exist_ok=True)
    kind.make(path)
    found = check(path, lambda: kind.read(path), kind.same)
    assert found >= kind.found
    assert verify.verify(tmp_path / "results").damaged == []
    place = next(flipped(path))  # the first byte of each is one that counts
    assert place == 0
    assert path.name in " ".join(verify.verify(tmp_path / "results").damaged)


@pytest.mark.parametrize("make", [framed, a_figure], ids=["one file", "a stem's files"])
def test_a_flipped_bit_in_a_note_is_found(tmp_path: Path, make: Any):
    path = tmp_path / "name.csv"
    make(path)
    (note,) = tmp_path.glob(".*.sha256")
    files = [each for each in sorted(tmp_path.iterdir()) if each != note]
    whole = [each.read_bytes() for each in files]
    assert check_checksums(note)
    for _ in flipped(note):
        with pytest.raises(FFEnsemblesError):
            check_checksums(note)
    assert [each.read_bytes() for each in files] == whole
    if make is framed:
        pd.testing.assert_frame_equal(read_frame(path), frame())


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
    a_checkpoint(path)
    assert read_checkpoint(path, "origin").progress == {"stage": 1, "epoch": 5}
    assert verify.verify(tmp_path).damaged == []
    for _ in flipped(path):
        assert read_checkpoint(path, "origin") is None  # training starts from the beginning
        assert "checkpoint" in verify.verify(tmp_path).damaged[0]


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
    runs = [run, {**run, "held_out": 3}, {**run, "model": "BP", "seed": 2}]
    rows = pd.DataFrame({"size": [1.0, 2.0]})
    paths = [tmp_path / f"{n}.parquet" for n in range(3)]
    for path, one in zip(paths, runs, strict=True):
        write_frame(with_keys(rows, one), path)
    assert read_run_frames(paths, runs)["size"].tolist() == [1.0, 2.0] * 3
    others = {"protocol": "q", "dataset": "e", "model": "BP", "held_out": 0, "seed": 1}
    for other in [{**runs[1], key: value} for key, value in others.items()] + runs[:1]:
        mixed = [with_keys(rows, one) for one in (runs[1], other)]  # its own rows, and others
        write_frame(pd.concat(mixed), paths[1])
        with pytest.raises(StoreError, match=r"1\.parquet: has too many: 1 run"):
            read_run_frames(paths, runs)
    write_frame(rows, paths[1])
    with pytest.raises(StoreError, match=r"1\.parquet: does not say which runs"):
        read_run_frames(paths, runs)
    write_frame(with_keys(rows[:0], runs[1]), paths[1])  # not measured on that run
    assert len(read_run_frames(paths, runs)) == 4
