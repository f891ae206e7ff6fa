"""A layer in other tools: opened by xarray alone, in rsatoolbox, as Brain-Score's assembly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ffensembles.representations.interop import to_rsatoolbox, write_neuroid_assembly
from ffensembles.representations.store import open_activations, save_tree

VALUES = np.float32([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 12]])
RUN = {"protocol": "relu-l2", "dataset": "mnist", "model": "FF", "held_out": None, "seed": 3}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    layer = xr.Dataset(
        {"activation": (("presentation", "neuroid"), VALUES)},
        coords={
            "stimulus_id": ("presentation", [7, 1, 5, 2]),
            "label": ("presentation", [0, 0, 1, 1]),
            "correct": ("presentation", [True, False, True, True]),
            "neuroid_id": ("neuroid", [0, 1, 2]),
            "layer": ("neuroid", [1, 1, 1]),
        },
    )
    root = xr.Dataset(attrs={**RUN, "categories": ["zero", "one"]})
    path = tmp_path / "activations.zarr.zip"
    save_tree(xr.DataTree.from_dict({"/": root, "layer1": layer}), path)
    return path


def test_xarray_alone_opens_a_layer_that_says_of_which_run_it_is(store: Path):
    code = (
        "import sys, xarray, zarr\n"
        f"store = zarr.storage.ZipStore({str(store)!r})\n"
        "layer = xarray.open_zarr(store, group='layer1', consolidated=False)\n"
        "assert not [name for name in sys.modules if name.startswith('ffensembles')]\n"
        "print(layer.activation.sum().item(), layer.attrs)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{VALUES.sum()} { {**RUN, 'categories': ['zero', 'one']} }"


def test_an_assembly_has_flat_coordinates_and_the_same_values(store: Path, tmp_path: Path):
    write_neuroid_assembly(open_activations(store, layer=1), tmp_path / "layer1.nc")
    assembly = xr.load_dataarray(tmp_path / "layer1.nc")
    assert assembly.dims == ("presentation", "neuroid")
    np.testing.assert_array_equal(assembly.values, VALUES)
    assert assembly.stimulus_id.values.tolist() == ["mnist-7", "mnist-1", "mnist-5", "mnist-2"]
    assert assembly.object_name.values.tolist() == ["zero", "zero", "one", "one"]
    assert assembly.correct.values.tolist() == [1, 0, 1, 1]
    assert assembly.neuroid_id.dims == assembly.layer.dims == ("neuroid",)
    known = {key: value for key, value in RUN.items() if value is not None}
    assert {key: assembly.attrs[key] for key in known} == known


def test_brain_score_takes_the_file_as_its_assembly(store: Path, tmp_path: Path):
    assemblies = pytest.importorskip(
        "brainscore_core.supported_data_standards.brainio.assemblies", exc_type=ImportError
    )
    write_neuroid_assembly(open_activations(store, layer=1), tmp_path / "layer1.nc")
    assembly = assemblies.NeuroidAssembly(xr.load_dataarray(tmp_path / "layer1.nc"))
    assert set(assembly.indexes["presentation"].names) >= {"stimulus_id", "object_name"}
    assert assembly.sel(object_name="one").values.tolist() == VALUES[2:].tolist()


def test_rsatoolbox_measures_the_distance_of_classes(store: Path):
    pytest.importorskip("rsatoolbox", exc_type=ImportError)
    from rsatoolbox.rdm import calc_rdm

    layer = open_activations(store, layer=1)
    data = to_rsatoolbox(layer.isel(presentation=layer.correct.values))
    assert data.descriptors["model"] == "FF"
    assert data.obs_descriptors["label"].tolist() == [0, 1, 1]
    assert data.channel_descriptors["neuroid_id"].tolist() == [0, 1, 2]
    rdm = calc_rdm(data, method="euclidean", descriptor="label")
    # the classes' means are (0, 1, 2) and (7.5, 8.5, 10); squared distance over units
    expected = (7.5**2 + 7.5**2 + 8**2) / 3
    assert rdm.dissimilarities.ravel() == pytest.approx([expected])
