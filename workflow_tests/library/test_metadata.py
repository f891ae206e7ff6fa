"""Metadata of a run, its weights, frames and cached files are used only if they fit."""

import io
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_files import DATA, RECIPE, RUN, make_run, metadata
from safetensors.numpy import save_file

from ffensembles.analyses.tidy import read_frame, read_history, with_keys, write_frame
from ffensembles.errors import StoreError
from ffensembles.representations.readout import read_out
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.files import SEAL, check_seal, checksum, seal
from ffensembles.training.cache import Cache
from ffensembles.training.metadata import differences, fingerprint, read_run, write_run

# --- metadata ---------------------------------------------------------------------------------


def test_metadata_come_back_and_the_order_of_keys_does_not_matter(tmp_path: Path):
    path = tmp_path / "run.json"
    write_run(path, metadata())
    assert read_run(path) == metadata()
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_run(path, metadata()["fingerprint"]) == metadata()


@pytest.mark.parametrize("key", ["accuracy", "seconds", "n_train", "fingerprint", "weights_sha256"])
def test_a_changed_number_is_found(tmp_path: Path, key: str):
    path = tmp_path / "run.json"
    write_run(path, metadata())
    text = path.read_text()
    place = text.index(f'"{key}"')
    digit = next(i for i in range(place + len(key) + 2, len(text)) if text[i].isdigit())
    path.write_text(text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :])
    with pytest.raises(StoreError, match=r"run\.json: has changed since it was written; delete it"):
        read_run(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_train": "400"}, "n_train: Input should be a valid integer"),
        ({"n_train": True}, "n_train: Input should be a valid integer"),
        ({"accuracy": [0.5]}, "accuracy: "),
        ({"accuracy": {"network": None, "layers": []}}, r"accuracy\.network: "),
        ({"run": {**RUN.keys, "seed": "2"}}, r"run\.seed: "),
        ({"weights_sha256": 5}, "weights_sha256: "),
        ({"provenance": {"device": 3}}, r"provenance\.device: "),
        ({"seconds": -1.0}, "seconds: "),
    ],
)
def test_a_wrong_type_names_file_and_key(tmp_path: Path, changes: dict, said: str):
    path = tmp_path / "run.json"
    write_run(path, metadata(**changes))
    with pytest.raises(StoreError, match=rf"run\.json: {said}"):
        read_run(path)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, number: str):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(metadata()).replace("12.5", number))
    with pytest.raises(StoreError, match=rf"run\.json: cannot be read \({number} is not a finite"):
        read_run(path)


def test_metadata_without_their_checksum_are_refused(tmp_path: Path):
    path = tmp_path / "run.json"
    older = metadata()
    older["meaning"] = older.pop("fingerprint")
    for content in (older, metadata()):
        path.write_text(json.dumps(content))
        with pytest.raises(StoreError, match=r"checksum|has changed"):
            read_run(path)


def test_a_run_of_another_recipe_is_named_with_what_differs(tmp_path: Path):
    path = tmp_path / "run.json"
    write_run(path, metadata(recipe=RECIPE.but(epochs=3)))
    with pytest.raises(StoreError) as caught:
        read_run(path, metadata()["fingerprint"])
    assert "recipe.epochs: 3 here, 40 in the study" in str(caught.value)
    assert str(path) in str(caught.value)


def test_fingerprints_differ_in_what_determines_a_run_and_in_nothing_else():
    base = fingerprint([RUN.keys], RECIPE, {**DATA, "source": "a", "folder": "b"})
    assert base == fingerprint([RUN.keys], RECIPE, {**DATA, "source": None, "folder": "c"})
    assert differences(base, base) == ""
    assert differences(fingerprint([RUN.keys], RECIPE.but(theta=0.7), DATA), base) == (
        "recipe.theta: 0.7 here, 0.5 in the study"
    )
    other = fingerprint([{**RUN.keys, "seed": 9}], RECIPE, {**DATA, "train_images": None})
    assert differences(other, base).startswith(
        "data.train_images: None here, 400 in the study; runs: "
    )


# --- seals ------------------------------------------------------------------------------------


@given(st.binary(max_size=50), st.binary(max_size=50), st.data())
def test_a_seal_covers_every_byte(before: bytes, after: bytes, data: st.DataObject):
    sealed = seal(before + SEAL.encode() + after)
    assert len(sealed) == len(before + SEAL.encode() + after)
    check_seal(sealed, "file")
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(StoreError, match="file: "):
        check_seal(bytes(changed), "file")


# --- weights ----------------------------------------------------------------------------------


def test_weights_that_metadata_do_not_name(tmp_path: Path):
    run, other = make_run(tmp_path / "run"), make_run(tmp_path / "other", seed=1)
    load_weights(run / "weights.safetensors")
    shutil.copy(other / "weights.safetensors", run)
    with pytest.raises(
        StoreError, match=r"run/weights\.safetensors: is not the file that run\.json"
    ):
        load_weights(run / "weights.safetensors")
    load_weights(run / "weights.safetensors", other / "run.json")
    with pytest.raises(StoreError, match=r"none\.json"):
        load_weights(run / "weights.safetensors", tmp_path / "none.json")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.float32([[1, np.nan]]), "layer1.weight holds values that are not finite"),
        (np.float32([[1, -np.inf]]), "layer1.weight holds values that are not finite"),
        (np.float64([[1, 2]]), "layer1.weight is float64, not float32"),
    ],
)
def test_weights_that_no_training_gives(tmp_path: Path, values: np.ndarray, said: str):
    """With a checksum that fits: a program in error wrote them."""
    run = make_run(tmp_path / "run")
    path = run / "weights.safetensors"
    save_file({"layer1.weight": values}, path)
    write_run(run / "run.json", metadata(weights_sha256=checksum(path)))
    with pytest.raises(StoreError, match=rf"weights\.safetensors: {said}"):
        load_weights(path)


def test_activations_of_a_run_of_another_recipe_are_not_read(tmp_path: Path):
    run = make_run(tmp_path / "run", recipe=RECIPE.but(epochs=3))
    data = {**DATA, "source": None, "folder": str(tmp_path)}
    with pytest.raises(StoreError, match=r"run\.json: this run is not the one .* 40 in the study"):
        read_out(RUN.keys, RECIPE, data, run / "weights.safetensors", tmp_path / "a.zarr.zip")
    assert not (tmp_path / "a.zarr.zip").exists()


# --- history and frames -----------------------------------------------------------------------


def test_a_history_of_another_training(tmp_path: Path):
    path = make_run(tmp_path / "run") / "history.csv"
    assert read_history(path).epoch.tolist() == [1, 2, 3]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(StoreError, match=r"history\.csv: is not the file that run\.json"):
        read_history(path)


def with_another_value(path: Path) -> bytes:
    """Return a frame's file as another program writes it after a change, its checksum as it was."""
    if path.suffix == ".csv":
        return path.read_bytes().replace(b"2.5", b"9.5")
    table = pq.read_table(path)
    changed = table.set_column(1, "size", pa.array([1.5, 9.5, 3.5]))
    written = io.BytesIO()
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), written)
    return written.getvalue()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_frame_that_was_cut_short_or_changed(tmp_path: Path, ending: str):
    path = tmp_path / f"sizes.{ending}"
    write_frame(pd.DataFrame({"layer": [1, 2, 3], "size": [1.5, 2.5, 3.5]}), path)
    whole = path.read_bytes()
    for content in (whole[:-4], whole.replace(b"2.5", b"9.5") + b"\n", with_another_value(path)):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=rf"sizes\.{ending}: "):
            read_frame(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_same_frame_gives_the_same_bytes_and_any_program_reads_it(tmp_path: Path, ending: str):
    frame = pd.DataFrame({"layer": [1, 2], "size": [0.1 + 0.2, np.nan], "name": ["a", None]})
    paths = [tmp_path / name / f"sizes.{ending}" for name in ("a", "b")]
    for path in paths:
        write_frame(frame, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    plain = pd.read_csv if ending == "csv" else pd.read_parquet
    got = plain(paths[0])
    assert got["size"].tolist()[0] == 0.1 + 0.2
    assert got["layer"].tolist() == [1, 2]
    if ending == "csv":  # as `sha256sum --check` reads it
        said = (tmp_path / "a" / ".sizes.csv.sha256").read_text()
        assert said == f"{checksum(paths[0])}  sizes.csv\n"


def test_a_csv_frame_of_another_program_is_read(tmp_path: Path):
    (tmp_path / "sizes.csv").write_text("layer,size\n1,2.5\n")
    assert read_frame(tmp_path / "sizes.csv")["size"].tolist() == [2.5]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_frame_has_rows_of_just_the_runs_that_are_asked_for(tmp_path: Path, ending: str):
    runs = [{**RUN.keys, "seed": seed, "held_out": held} for seed in (0, 1) for held in (None, 3)]
    rows = pd.DataFrame({"layer": [1, 2], "size": [1.5, 2.5]})
    path = tmp_path / f"sizes.{ending}"
    write_frame(pd.concat(with_keys(rows, run) for run in runs), path)
    assert len(read_frame(path, runs=reversed(runs))) == 8
    with pytest.raises(StoreError, match=r"sizes\.\w+: lacks 1 run \(.*held_out 3, seed 7\)"):
        read_frame(path, runs=[*runs, {**RUN.keys, "seed": 7, "held_out": 3}])
    with pytest.raises(StoreError, match=r"has too many: 2 runs"):
        read_frame(path, runs=runs[:2])
    write_frame(rows, path)
    with pytest.raises(StoreError, match="does not say which runs"):
        read_frame(path, runs=runs)


# --- cache ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_colleagues_may_read_what_umask_lets_them(tmp_path: Path, umask: int, mode: int):
    run, cache = make_run(tmp_path / "run"), Cache(tmp_path / "cache", "code")
    before = os.umask(umask)
    try:
        cache.add(metadata()["fingerprint"], [run / name for name in cache.names])
    finally:
        os.umask(before)
    place = cache.place(metadata()["fingerprint"])
    assert stat.S_IMODE(place.stat().st_mode) == mode


def test_a_colleagues_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its date may not be set, though its file system lets it be linked."""
    run, cache = make_run(tmp_path / "run"), Cache(tmp_path / "cache", "code")
    cache.add(metadata()["fingerprint"], [run / name for name in cache.names])

    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    taken = [tmp_path / "taken" / name for name in cache.names]
    assert cache.take(metadata()["fingerprint"], taken)
    for path in taken:
        assert path.read_bytes() == (run / path.name).read_bytes()
        assert path.stat().st_ino != (run / path.name).stat().st_ino
    assert not list((tmp_path / "taken").glob(".*"))
