"""A layer's activations for other tools: rsatoolbox, and Brain-Score by a netCDF file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ffensembles.runtime.files import atomic_path

if TYPE_CHECKING:
    from rsatoolbox.data import Dataset

_KEYS = ("protocol", "dataset", "model", "held_out", "seed")


def to_rsatoolbox(layer: xr.Dataset) -> "Dataset":
    """Return a layer's activations as a data set of rsatoolbox.

    Parameters
    ----------
    layer
        One layer of a store of activations: `open_activations(path, layer=1)`.

    Returns
    -------
    rsatoolbox.data.Dataset
        Measurements of shape (presentations, units). Descriptors are the run's keys; those of
        observations and channels are the coordinates of presentations and units.

    Raises
    ------
    ModuleNotFoundError
        If rsatoolbox is not installed (`pip install 'ffensembles[interop]'`).

    Examples
    --------
    RDMs by class, averaged over its correctly classified images::

        from rsatoolbox.rdm import calc_rdm
        layer = open_activations(path, layer=1)
        correct = layer.isel(presentation=layer.correct.values)
        rdm = calc_rdm(to_rsatoolbox(correct), descriptor="label")
    """
    from rsatoolbox.data import Dataset

    return Dataset(
        np.asarray(layer["activation"].transpose("presentation", "neuroid").values),
        descriptors={key: layer.attrs[key] for key in _KEYS if key in layer.attrs},
        obs_descriptors=_along(layer, "presentation"),
        channel_descriptors=_along(layer, "neuroid"),
    )


def write_neuroid_assembly(layer: xr.Dataset, path: str | Path) -> None:
    """Write a layer's activations as netCDF that Brain-Score takes as a NeuroidAssembly.

    Brain-Score is not needed, nor the version of numpy that it asks for. In its environment::

        from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
        assembly = NeuroidAssembly(xarray.load_dataarray("layer1.nc"))

    Parameters
    ----------
    layer
        One layer of a store of activations.
    path
        The file. Its format is netCDF 3, which any version of xarray reads with scipy alone.

    Raises
    ------
    StoreError
        If the file cannot be written.

    Notes
    -----
    Dimensions are `presentation` and `neuroid`, coordinates flat. Beside those of the layer,
    `stimulus_id` becomes a text that is unique over data sets (`mnist-7`), `object_name` is the
    class's name, and the run's keys become attributes.
    """
    activation = layer["activation"].transpose("presentation", "neuroid")
    attrs = layer.attrs
    coords = {
        **{
            name: ("presentation", values) for name, values in _along(layer, "presentation").items()
        },
        **{name: ("neuroid", values) for name, values in _along(layer, "neuroid").items()},
    }
    stimuli = [f"{attrs.get('dataset', 'stimulus')}-{one}" for one in layer["stimulus_id"].values]
    coords["stimulus_id"] = "presentation", np.array(stimuli)
    if "categories" in attrs:
        names = np.array(attrs["categories"], dtype=str)
        coords["object_name"] = "presentation", names[layer["label"].values]
    coords = {
        # netCDF 3 has neither 64-bit whole numbers nor truth values
        name: (dim, values.astype(np.int32) if values.dtype.kind in "ib" else values)
        for name, (dim, values) in coords.items()
    }
    known = {key: attrs[key] for key in _KEYS if attrs.get(key) is not None}
    assembly = xr.DataArray(
        activation.values, dims=activation.dims, coords=coords, name="activation", attrs=known
    )
    with atomic_path(path) as temporary:
        assembly.to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")


def _along(layer: xr.Dataset, dim: str) -> dict[str, np.ndarray]:
    """Return the coordinates along a dimension, by name."""
    return {str(name): c.values for name, c in layer.coords.items() if c.dims == (dim,)}
