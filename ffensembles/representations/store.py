"""Saving and opening labelled arrays: an xarray tree as Zarr v3 in one zip file.

One file per run makes a store an ordinary output of a workflow: it can be moved, hashed and
deleted like any other. Reading needs xarray and zarr only, so a notebook or an analysis never
pays for importing torch. One line opens a layer without this library, but checks nothing:

>>> import tempfile, xarray, zarr
>>> path = f"{tempfile.mkdtemp()}/activations.zarr.zip"
>>> layer1 = xr.Dataset({"activation": (("presentation", "neuroid"), np.zeros((2, 3)))})
>>> save_tree(xr.DataTree.from_dict({"/": xr.Dataset(attrs={"seed": 3}), "layer1": layer1}), path)
>>> layer = xarray.open_zarr(zarr.storage.ZipStore(path), group="layer1", consolidated=False)
>>> layer.activation.shape, layer.attrs["seed"]
((2, 3), 3)
"""

import zipfile
from pathlib import Path
from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.errors import StoreError
from ffensembles.runtime.files import atomic_path

PRESENTATIONS_PER_CHUNK = 256
"""Presentations lie sorted by label: one class of a thousand images touches about five chunks."""

_FLOAT32_MANTISSA_BITS = 23
_GAP_BITS = 5
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: same content, same bytes


def round_mantissa(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Round float32 values to `bits` explicit mantissa bits, ties to even.

    The dropped bits become zeros, which a compressor removes: activations of a sigmoid otherwise
    hardly compress, because the low bits of their mantissas are noise. The relative error is at
    most ``2 ** -(bits + 1)`` (0.05 % for 10 bits). Close below 1 the distance to 1 is rounded
    instead (to 1.6 % of itself), so that units of a sigmoid near saturation keep their order and
    never become saturated ones: Method 1 tells them apart. Values that are not finite stay.

    Parameters
    ----------
    values
        Any shape, float32.
    bits
        From 1 to 23; 23 keeps every value exactly.

    Returns
    -------
    numpy.ndarray
        A new float32 array of the same shape.

    Examples
    --------
    >>> round_mantissa(np.float32([1.0, 1.2, 1.3]), bits=2).tolist()
    [1.0, 1.25, 1.25]
    """
    if not 1 <= bits <= _FLOAT32_MANTISSA_BITS:
        raise ValueError(f"mantissa bits: found {bits}, allowed are 1 to {_FLOAT32_MANTISSA_BITS}.")
    values = np.asarray(values, dtype=np.float32)
    if bits == _FLOAT32_MANTISSA_BITS:
        return values.copy()
    one = np.float32(1)
    gap = one - values  # exact from 0.5 to 1, and so is the way back
    # where the two roundings meet their steps are the same
    near = np.where(
        _saturating(gap, bits), one - _drop_bits(gap, _GAP_BITS), _drop_bits(values, bits)
    )
    return np.where(np.isfinite(values), near, values)


def rounding_bound(values: NDArray[np.floating], bits: int) -> NDArray[np.float64]:
    """Return the largest error that `round_mantissa` can have made of each value.

    Parameters
    ----------
    values
        Values as they were stored, any shape.
    bits
        Mantissa bits that were kept.

    Examples
    --------
    >>> rounding_bound(np.array([1.0, 0.0]), bits=3).tolist()
    [0.0625, 0.0]
    """
    size = np.abs(np.asarray(values, dtype=np.float64))
    bound = size * 2.0 ** -(bits + 1)
    if bits == _FLOAT32_MANTISSA_BITS:
        return np.zeros_like(size)
    gap = 1 - np.asarray(values, dtype=np.float64)
    return np.where(_saturating(gap, bits), gap * 2.0 ** -(_GAP_BITS + 1), bound)


def _saturating(gap: NDArray[Any], bits: int) -> NDArray[np.bool_]:
    """Say which values are so close below 1 that their distance to it is what is rounded."""
    return (gap > 0) & (gap < min(0.5, 2.0 ** (_GAP_BITS - 1 - bits)))


def _drop_bits(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    dropped = _FLOAT32_MANTISSA_BITS - bits
    pattern = values.view(np.uint32)
    odd = (pattern >> np.uint32(dropped)) & np.uint32(1)
    rounded = pattern + odd + np.uint32((1 << (dropped - 1)) - 1)
    return (rounded & np.uint32(0xFFFFFFFF ^ ((1 << dropped) - 1))).view(np.float32)


def save_tree(tree: xr.DataTree, path: str | Path, mantissa_bits: int | None = None) -> None:
    """Write a tree to one `.zarr.zip` file, whole or not at all.

    Floating-point data are stored as float32 and coordinates as they are, compressed (zstd after
    a bit shuffle) in chunks of 256 presentations. Every group carries the attributes of the root
    beside its own: a layer that is opened alone says of which run it is. The same tree gives the
    same bytes.

    Parameters
    ----------
    tree
        Any DataTree of numeric and boolean variables.
    path
        Where the file goes; folders are made, an older file is replaced at the very end.
    mantissa_bits
        Mantissa bits kept of each variable `activation` (see `round_mantissa`), recorded in its
        attribute `mantissa_bits`; None stores them exactly.

    Raises
    ------
    StoreError
        If the file cannot be written; what stood there before is untouched.
    """
    from zarr.storage import MemoryStore

    from ffensembles.representations.sealed import members_seal

    root = tree.attrs
    tree = tree.map_over_datasets(lambda dataset: _ready(dataset, mantissa_bits))
    tree = tree.map_over_datasets(lambda dataset: dataset.assign_attrs({**root, **dataset.attrs}))
    encoding = {
        node.path: {str(name): _encoding(variable) for name, variable in node.variables.items()}
        for node in tree.subtree
    }
    content: dict[str, Any] = {}
    tree.to_zarr(MemoryStore(content), encoding=encoding, consolidated=False, zarr_format=3)
    # our own zip, not ZipStore's: fixed dates, sorted members, and a seal on their list
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key in sorted(content):
            member = zipfile.ZipInfo(key, date_time=_EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content[key].to_bytes())
        archive.comment = members_seal(archive)


@overload
def open_tree(path: str | Path) -> xr.DataTree: ...
@overload
def open_tree(path: str | Path, layer: None) -> xr.DataTree: ...
@overload
def open_tree(path: str | Path, layer: str | int) -> xr.Dataset: ...
def open_tree(path: str | Path, layer: str | int | None = None) -> xr.DataTree | xr.Dataset:
    """Open a store lazily: values are read, chunk by chunk, when they are asked for.

    Parameters
    ----------
    path
        A file that `save_tree` wrote.
    layer
        Name of a group or its number (`"layer2"` or 2): only that Dataset is opened. None opens
        the whole tree.

    Raises
    ------
    StoreError
        If the file is missing, truncated or damaged, or holds no such layer. Damage in the list
        of members is found on opening, damage inside a chunk when that chunk is read.
    """
    from ffensembles.representations.sealed import open_sealed

    path = Path(path)
    store: Any = open_sealed(path)  # xarray takes any zarr store; its annotations do not say so
    # consolidated metadata is no part of the Zarr v3 format; chunks=None is xarray's own laziness
    options: dict[str, Any] = {"engine": "zarr", "chunks": None, "consolidated": False}
    if layer is None:
        tree = xr.open_datatree(store, **options)
        tree.set_close(store.close)
        return tree
    group = f"layer{layer}" if isinstance(layer, int) else layer
    groups = sorted({name.split("/")[0] for name in store.members if "/" in name})
    if group not in groups:
        store.close()
        raise StoreError(f"{path}: holds no {group!r}; it holds {', '.join(groups) or 'nothing'}.")
    dataset = xr.open_dataset(store, group=group, **options)
    dataset.set_close(store.close)
    return dataset


@overload
def open_activations(path: str | Path) -> xr.DataTree: ...
@overload
def open_activations(path: str | Path, layer: None, category: int | None = None) -> xr.DataTree: ...
@overload
def open_activations(
    path: str | Path, layer: str | int, category: int | None = None
) -> xr.Dataset: ...
def open_activations(
    path: str | Path, layer: str | int | None = None, category: int | None = None
) -> xr.DataTree | xr.Dataset:
    """Open a run's activations, or one layer or one class of them, without loading the rest.

    Parameters
    ----------
    path
        A run's `activations.zarr.zip`.
    layer
        Layer by name or number; None opens all layers as a DataTree.
    category
        Label of one class; only its presentations are kept.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        Variable `activation` (presentation, neuroid), float32, not yet loaded; coordinates
        stimulus_id, label, embedded_label, predicted, correct on presentation, and neuroid_id,
        layer on neuroid. All test images are there, correct or not.

    Raises
    ------
    StoreError
        If the file cannot be read, or has no such layer or no presentation of such a category.

    Examples
    --------
    >>> import tempfile
    >>> layer = xr.Dataset(
    ...     {"activation": (("presentation", "neuroid"), np.float32([[0, 1], [1, 0], [1, 1]]))},
    ...     coords={"label": ("presentation", [0, 1, 1])},
    ... )
    >>> path = Path(tempfile.mkdtemp()) / "activations.zarr.zip"
    >>> save_tree(xr.DataTree.from_dict({"layer1": layer}), path)
    >>> open_activations(path, layer=1, category=1).activation.values.tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    opened = open_tree(path, layer)
    if category is None:
        return opened
    if isinstance(opened, xr.DataTree):
        return opened.map_over_datasets(
            lambda dataset: _only(dataset, category, path) if "label" in dataset else dataset
        )
    return _only(opened, category, path)


def _only(dataset: xr.Dataset, category: int, path: str | Path) -> xr.Dataset:
    """Keep one category, as a slice where its presentations are contiguous: few chunks are read."""
    where = np.flatnonzero(dataset["label"].values == category)
    if where.size == 0:
        labels = ", ".join(str(label) for label in np.unique(dataset["label"].values))
        raise StoreError(
            f"{path}: holds no presentation of category {category}; it holds {labels}."
        )
    together = where[-1] - where[0] + 1 == where.size
    return dataset.isel(presentation=slice(where[0], where[-1] + 1) if together else where)


def _ready(dataset: xr.Dataset, mantissa_bits: int | None) -> xr.Dataset:
    """Make a Dataset storable: data as float32, activations rounded, no older encoding."""
    dataset = dataset.drop_encoding()
    for name, variable in dataset.data_vars.items():
        if variable.dtype.kind == "f" and variable.dtype != np.float32:
            dataset[name] = dataset[name].astype(np.float32, keep_attrs=True)
    if mantissa_bits is not None and "activation" in dataset:
        activation = dataset["activation"]
        rounded = activation.copy(data=round_mantissa(activation.values, mantissa_bits))
        dataset["activation"] = rounded.assign_attrs(mantissa_bits=mantissa_bits)
    return dataset


def _encoding(variable: xr.Variable) -> dict[str, Any]:
    """Return how zarr stores a variable: its chunks and its compression."""
    from zarr.codecs import BloscCodec

    chunks = tuple(
        max(1, min(size, PRESENTATIONS_PER_CHUNK) if dim == "presentation" else size)
        for dim, size in variable.sizes.items()
    )
    codec = BloscCodec(
        typesize=variable.dtype.itemsize, cname="zstd", clevel=5, shuffle="bitshuffle"
    )
    encoding: dict[str, Any] = {"compressors": (codec,)}
    if chunks:
        encoding["chunks"] = chunks
    return encoding
