"""What the extension `dynamics` measures on a net while it trains, and how readings become a frame.

All images of a class count, not the correctly classified ones alone: otherwise the accuracy of the
moment would decide which images ensembles are found in, and the two could not be compared in time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.sparsity import hoyer
from ffensembles.analyses.tidy import whole_numbers, with_keys, write_frame
from ffensembles.ensembles import METHODS

VERSION = 1
"""Increased whenever readings of an older version no longer fit."""

_ADDED = {"method2": {"cut": "box"}}
"""Parameters that methods got later, with the value that says what was computed before."""

_ACTIVE = "active-"
_QUANTILE = "@"


@dataclass(frozen=True)
class DynamicsObserver:
    """Reads nets at log-spaced epochs while they train; a `training.readings.Observer`.

    Attributes
    ----------
    readings
        How many epochs to read after, the first and the last among them; fewer where two fall on
        the same epoch. The untrained layer, epoch 0, is one more.
    images
        Test images of each class that are read.
    methods
        The configured parameters of every method that finds ensembles, by its name.
    """

    readings: int
    images: int
    methods: Mapping[str, Mapping[str, Any]] = field(hash=False)

    @classmethod
    def configured(cls, config: Mapping[str, Any]) -> DynamicsObserver | None:
        """Return the observer that a configuration asks for; None where it asks for none."""
        asked = config["training"]["readings"]
        if not asked["epochs"]:
            return None
        return cls(asked["epochs"], asked["images"], config["ensembles"])

    @cached_property
    def identity(self) -> str:
        """What a checkpoint and a file of readings must agree with."""
        return self._digest(self.methods)

    def fits(self, settings: str, read: Iterable[str] | None = None) -> bool:
        """Say whether readings are as this observer's, from the `settings` that their file has.

        Those made before a method had some parameter are, if it has the value of before; those
        made before there was some method are, too: `read` names the methods of the file.

        Examples
        --------
        >>> box, gap = (DynamicsObserver(6, 50, {"method2": {"cut": c}}) for c in ("box", "gap"))
        >>> before = DynamicsObserver(6, 50, {"method2": {}})
        >>> [one.fits(before.identity) for one in (box, gap)]
        [True, False]
        >>> more = DynamicsObserver(6, 50, {"method2": {"cut": "box"}, "mine": {}})
        >>> more.fits(box.identity), more.fits(box.identity, ["method2"])
        (False, True)
        >>> DynamicsObserver(6, 50, {"loo": {"k": 1.0}}).fits(
        ...     DynamicsObserver(6, 50, {"loo": {"k": 1}}).identity)
        True
        """
        now = {name: self.methods[name] for name in read or self.methods if name in self.methods}
        before = {
            name: {k: v for k, v in own.items() if (k, v) not in _ADDED.get(name, {}).items()}
            for name, own in now.items()
        }
        return settings in (self._digest(now), self._digest(before))

    def _digest(self, methods: Mapping[str, Mapping[str, Any]]) -> str:
        content = [VERSION, self.readings, self.images, _plain(methods)]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def epochs(self, last: int) -> list[int]:
        """Return the epochs after which to read: 0, 1, ..., `last`, evenly spaced in logarithm.

        Examples
        --------
        >>> DynamicsObserver(6, 50, {}).epochs(100)
        [0, 1, 3, 6, 16, 40, 100]
        >>> DynamicsObserver(6, 50, {}).epochs(3)
        [0, 1, 2, 3]
        """
        if not last:
            return [0]
        spaced = np.geomspace(1, last, self.readings).tolist()
        return [0, *sorted({round(epoch) for epoch in spaced})]

    def measure(
        self,
        activations: NDArray[np.float32],
        labels: NDArray[np.int64],
        n_labels: int,
        valid: Mapping[str, float],
    ) -> dict[str, NDArray[Any]]:
        """Measure one layer.

        Parameters
        ----------
        activations
            (images, units).
        labels
            Class of each image, (images,).
        n_labels
            How many classes there are.
        valid
            What values activations can have, as attributes (`Recipe.valid_activations`).

        Returns
        -------
        dict
            `sparsity`, Hoyer's, mean over the images of a class that are not silent, (classes,);
            `silent`, how many are, and `images`, how many there are, (classes,); and for each
            method and quantile which units are active, (classes, units).
        """
        by_image, count = hoyer(activations), np.bincount(labels, minlength=n_labels)
        known = ~np.isnan(by_image)
        heard = np.bincount(labels[known], minlength=n_labels)
        total = np.bincount(labels[known], weights=by_image[known], minlength=n_labels)
        mean = np.divide(total, heard, out=np.full(n_labels, np.nan), where=heard > 0)
        measured = {"sparsity": mean, "silent": count - heard, "images": count}
        layer = xr.Dataset(
            {"activation": (("presentation", "neuroid"), activations, valid)},
            coords={"label": ("presentation", labels)},
        )
        for name, parameters in self.methods.items():
            found = METHODS[name].find(layer, categories=range(n_labels), **parameters)
            active = found["active"]
            if "quantile" not in active.dims:
                measured[f"{_ACTIVE}{name}"] = active.values
                continue
            for quantile in active["quantile"].values:
                own = active.sel(quantile=quantile).values
                measured[f"{_ACTIVE}{name}{_QUANTILE}{float(quantile)!r}"] = own
        return measured

    def write(
        self,
        path: Path,
        run: Mapping[str, Any],
        weights_sha256: str,
        readings: Mapping[str, NDArray[Any]],
    ) -> None:
        """Write the frame of a run: what was read, and which weights and settings it belongs to."""
        belongs = {"weights_sha256": weights_sha256, "settings": self.identity}
        write_frame(with_keys(dynamics_frame(readings), run).assign(**belongs), path)


def _plain(value: Any) -> Any:
    """Return a configured value with whole numbers as such: 1 and 1.0 are the same setting."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def dynamics_frame(readings: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """Turn the readings of a run into a tidy frame.

    Parameters
    ----------
    readings
        Arrays named `{layer}/{epoch}/{what}`: what `DynamicsObserver.measure` returns, and
        `layer_accuracy` and `network_accuracy`, (classes,).

    Returns
    -------
    pandas.DataFrame
        One row for each layer, epoch, method (and quantile) and class. `epoch` counts the
        training of this layer; 0 is before it. Of the layer and class: `layer_accuracy`,
        `network_accuracy` (of the net as far as it is trained), `sparsity`, `silent`, `images`.
        Of the ensemble: `size` (units), `units` of the layer, `jaccard` with the ensemble of the
        last epoch and `jaccard_chance`, what two sets of these sizes drawn at random have (of
        their expected numbers of shared units); and of the last ensemble's units `kept`, the share
        that is in this class's ensemble now, `elsewhere`, the share that is not but is in
        another class's, and `elsewhere_chance`, that share of all units. Missing of a class
        whose ensemble of the last epoch is empty.

    Examples
    --------
    Units 0 and 1 are class 0's ensemble at the end; unit 1 was class 1's before.

    >>> same = {name: np.zeros(2) for name in
    ...         ("sparsity", "silent", "images", "layer_accuracy", "network_accuracy")}
    >>> active = {0: [[1, 0, 0, 0], [0, 1, 0, 0]], 5: [[1, 1, 0, 0], [0, 0, 1, 0]]}
    >>> readings = {f"1/{epoch}/active-loo": np.array(a, bool) for epoch, a in active.items()}
    >>> readings |= {f"1/{epoch}/{k}": v for epoch in active for k, v in same.items()}
    >>> frame = dynamics_frame(readings).query("category == 0")
    >>> frame[["epoch", "size", "jaccard", "jaccard_chance", "kept", "elsewhere"]].values.tolist()
    [[0.0, 1.0, 0.5, 0.2, 0.5, 0.5], [5.0, 2.0, 1.0, 0.3333333333333333, 1.0, 0.0]]
    """
    places = sorted({(int(layer), int(epoch)) for layer, epoch, _ in _split(readings)})
    last = {layer: epoch for layer, epoch in places}  # ascending: the last one stays
    frames = []
    for layer, epoch in places:
        here = {what: readings[f"{k}/{e}/{what}"] for k, e, what in _split(readings)
                if (int(k), int(e)) == (layer, epoch)}  # fmt: skip
        for what in sorted(name for name in here if name.startswith(_ACTIVE)):
            method, _, quantile = what.removeprefix(_ACTIVE).partition(_QUANTILE)
            of_layer = {
                "layer": layer,
                "epoch": epoch,
                "method": method,
                "quantile": float(quantile) if quantile else np.nan,
                "category": np.arange(len(here[what])),
                **{name: here[name] for name in _OF_LAYER},
            }
            final = readings[f"{layer}/{last[layer]}/{what}"]
            frames.append(pd.DataFrame({**of_layer, **_ensembles(here[what], final)}))
    return whole_numbers(pd.concat(frames, ignore_index=True))


_OF_LAYER = ("layer_accuracy", "network_accuracy", "sparsity", "silent", "images")


def _split(readings: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(*name.split("/", 2),) for name in readings]  # type: ignore[misc]


def _ensembles(active: NDArray[np.bool_], final: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare ensembles (classes, units) with those of the last epoch."""
    units = active.shape[1]
    size, last = active.sum(1), final.sum(1)
    there = last > 0  # with an empty ensemble at the end there is nothing to compare
    shared = (active & final).sum(1)
    chance = size * last / units
    others = (active.sum(0) - active) > 0  # in the ensemble of another class
    elsewhere = (final & ~active & others).sum(1)
    return {
        "size": size,
        "units": units,
        "jaccard": _ratio(shared, there * (size + last - shared)),
        "jaccard_chance": _ratio(chance, there * (size + last - chance)),
        "kept": _ratio(shared, last),
        "elsewhere": _ratio(elsewhere, last),
        "elsewhere_chance": np.where(there, (others & ~active).mean(1), np.nan),
    }


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
