"""A store gives back what was saved, lazily, and never trusts a damaged file."""

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import ffensembles.representations.sealed as sealed_module
from ffensembles.errors import StoreError
from ffensembles.representations.store import (
    PRESENTATIONS_PER_CHUNK,
    open_activations,
    open_tree,
    round_mantissa,
    save_tree,
)


def make_tree(n: int = 1000, units: int = 7, seed: int = 0) -> xr.DataTree:
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 4, n))
    layers = {
        f"layer{k}": xr.Dataset(
            {"activation": (("presentation", "neuroid"), rng.random((n, units), np.float32))},
            coords={
                "stimulus_id": ("presentation", rng.permutation(n)),
                "label": ("presentation", labels),
                "correct": ("presentation", rng.random(n) > 0.3),
                "neuroid_id": ("neuroid", np.arange(units)),
            },
        )
        for k in (1, 2)
    }
    attrs = {"model": "FF", "held_out": None, "seed": 3, "categories": ["a", "b", "c", "d"]}
    # as a tree comes back: each layer says of which run it is
    layers = {name: layer.assign_attrs(attrs) for name, layer in layers.items()}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **layers})


@pytest.fixture
def saved(tmp_path: Path) -> tuple[xr.DataTree, Path]:
    tree, path = make_tree(), tmp_path / "deep" / "activations.zarr.zip"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_tree(tree, path)
    return tree, path


def test_a_tree_comes_back_exactly_and_without_a_warning(saved: tuple[xr.DataTree, Path]) -> None:
    tree, path = saved
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = open_tree(path)
        xr.testing.assert_identical(back.load(), tree)
    back.close()
    assert back["layer1"].activation.dtype == np.float32
    assert back["layer1"].correct.dtype == bool
    assert back.attrs["held_out"] is None


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_tree(make_tree(), tmp_path / name, mantissa_bits=8)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    names = zipfile.ZipFile(tmp_path / "a").namelist()
    assert len(names) == len(set(names))


def test_one_class_of_one_layer_reads_only_its_chunks(
    saved: tuple[xr.DataTree, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, path = saved
    read: list[str] = []
    plain = sealed_module.SealedZip._get

    def watched(self: object, key: str, *args: object, **options: object) -> object:
        read.append(key)
        return plain(self, key, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sealed_module.SealedZip, "_get", watched)
    layer = open_activations(path, layer=2, category=0)
    assert not [key for key in read if "activation/c/" in key]
    values = layer.activation.values
    expected = tree["layer2"].to_dataset()
    assert (expected.label == 0).sum() < PRESENTATIONS_PER_CHUNK
    assert [key for key in read if "activation/c/" in key] == ["layer2/activation/c/0/0"]
    np.testing.assert_array_equal(values, expected.activation.values[expected.label == 0])
    whole = open_activations(path, None, category=3)
    assert set(whole["layer1"].label.values) == {3}


def test_scattered_classes_are_found_too(tmp_path: Path) -> None:
    layer = make_tree()["layer1"].to_dataset()
    mixed = layer.isel(presentation=np.random.default_rng(1).permutation(1000))
    save_tree(xr.DataTree.from_dict({"layer1": mixed}), tmp_path / "s")
    got = open_activations(tmp_path / "s", layer="layer1", category=2)
    np.testing.assert_array_equal(got.activation, mixed.activation.values[mixed.label == 2])


def test_what_is_not_there_is_named(saved: tuple[xr.DataTree, Path], tmp_path: Path) -> None:
    _, path = saved
    with pytest.raises(StoreError, match=r"no 'layer9'; it holds layer1, layer2"):
        open_tree(path, layer=9)
    with pytest.raises(StoreError, match=r"category 7; it holds 0, 1, 2, 3"):
        open_activations(path, layer=1, category=7)
    with pytest.raises(StoreError, match=r"nowhere.*not there"):
        open_tree(tmp_path / "nowhere")


def test_truncation_and_damage_are_store_errors(
    saved: tuple[xr.DataTree, Path], tmp_path: Path
) -> None:
    _, path = saved
    whole = path.read_bytes()
    bad = tmp_path / "bad.zarr.zip"
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        bad.write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"bad\.zarr\.zip.*delete it"):
            open_tree(bad)
    # one bit anywhere: found on opening or on reading, never a silently different number
    rng = np.random.default_rng(0)
    good = make_tree()
    for where in rng.integers(0, len(whole), 60):
        bad.write_bytes(whole[:where] + bytes([whole[where] ^ 16]) + whole[where + 1 :])
        try:
            back = open_tree(bad).load()
        except StoreError as error:
            assert "bad.zarr.zip" in str(error)  # noqa: PT017
        else:  # a byte that zip readers ignore (a date, an attribute)
            xr.testing.assert_identical(back, good)


def test_a_failed_write_leaves_the_old_file(
    saved: tuple[xr.DataTree, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, path = saved
    before = path.read_bytes()

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sealed_module, "members_seal", full)
    with pytest.raises(StoreError, match="disk is full"):
        save_tree(tree, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_rounded_activations_are_close_small_and_say_so(tmp_path: Path) -> None:
    tree = make_tree(4000, 50)
    save_tree(tree, tmp_path / "exact")
    save_tree(tree, tmp_path / "rounded", mantissa_bits=10)
    rounded = open_tree(tmp_path / "rounded", layer=1)
    assert rounded.activation.attrs["mantissa_bits"] == 10
    exact = tree["layer1"].activation.values
    np.testing.assert_allclose(rounded.activation.values, exact, rtol=2.0**-11)
    sizes = {name: (tmp_path / name).stat().st_size for name in ("exact", "rounded")}
    assert sizes["rounded"] < 0.6 * sizes["exact"]
    assert "mantissa_bits" not in tree["layer1"].activation.attrs


def test_rounding_by_hand() -> None:
    # one mantissa bit: 1, 1.5, 2, 3, ...; 1.25 and 1.75 are ties and go to the even neighbour
    values = np.float32([0, 1, 1.2, 1.25, 1.3, 1.75, -1.3, np.inf, np.nan])
    expected = np.float32([0, 1, 1, 1, 1.5, 2, -1.5, np.inf, np.nan])
    np.testing.assert_array_equal(round_mantissa(values, 1), expected)
    np.testing.assert_array_equal(round_mantissa(values, 23), values)
    for bits in (0, 24):
        with pytest.raises(ValueError, match="mantissa bits"):
            round_mantissa(values, bits)


@given(
    arrays(np.float32, 20, elements=st.floats(-1024, 1024, width=32, allow_subnormal=False)),
    st.integers(1, 23),
)
def test_rounding_is_within_half_a_step_and_settled(values: np.ndarray, bits: int) -> None:
    once = round_mantissa(values, bits)
    error = np.abs(once.astype(float) - values.astype(float))
    assert (error <= 2.0 ** -(bits + 1) * np.abs(values.astype(float))).all()
    np.testing.assert_array_equal(round_mantissa(once, bits), once)


@given(arrays(np.float32, 20, elements=st.floats(0, 1, width=32)), st.integers(1, 23))
def test_rounding_keeps_saturation_apart_and_order(values: np.ndarray, bits: int) -> None:
    rounded = round_mantissa(values, bits)
    np.testing.assert_array_equal(rounded == 1, values == 1)
    assert (np.diff(rounded[np.argsort(values)]) >= 0).all()


def test_opening_imports_no_torch() -> None:
    code = (
        "import sys; from ffensembles import open_activations\n"
        "assert not {'torch', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
