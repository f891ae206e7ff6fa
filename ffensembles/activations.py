"""Reading a trained net's representations out: what each unit does on each test image."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ffensembles.errors import StoreError
from ffensembles.recipe import Norm, Recipe

NO_LABEL = -1
"""What `embedded_label` says where no label is embedded (BP)."""

_ORDERS: dict[Norm, float] = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}
_SMALLEST_NORM = 1e-8  # a row of zeros stays a row of zeros


def extract(
    weights: Mapping[str, NDArray[np.float32]],
    recipe: Recipe,
    x: NDArray[np.float32],
    labels: ArrayLike,
    stimulus_id: ArrayLike,
    *,
    categories: Sequence[str],
    on_value: ArrayLike = 0.0,
    positions: ArrayLike | None = None,
    held_out: int | None = None,
    unseen_label: Literal["own", "predicted"] = "own",
    block_size: int = 2048,
    device: str = "cpu",
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Read every hidden layer on every image, after the non-linearity, before normalisation.

    For FF and BP/FF each image carries its own label, and the net's prediction is the label
    whose embedding has the most goodness, by the recipe's rule, among all labels; for BP no
    label is embedded and the prediction is the readout's (Tosato et al. 2023, sec. 2.1, 3.4).

    Parameters
    ----------
    weights
        `layer1.weight` (out, in), `layer1.bias` (out,), ...; for BP also `readout.*`.
    recipe
        The mathematics of the net.
    x
        Standardised images of shape (presentations, pixels) as the net reads them: for FF and
        BP/FF with blank label pixels.
    labels, stimulus_id
        Class and identity of each image, shape (presentations,).
    categories
        Names of the classes; their number is that of the labels tried.
    on_value
        Value of a lit label pixel: one for all, or one per image.
    positions
        Pixels to light for each label, shape (labels,) or (labels, pixels of one label), as
        indices into a flattened image. Not needed for BP.
    held_out
        Label of the class the net was trained without.
    unseen_label
        Which label images of that class carry when read: their `own`, which the net never saw,
        or the `predicted` one.
    block_size
        Presentations computed at once.
    device
        Where to compute, as torch calls it.
    attrs
        Attributes of the tree: the run's keys and provenance.

    Returns
    -------
    xarray.DataTree
        One group per layer, `layer1` and so on, with `activation` (presentation, neuroid),
        float32; coordinates stimulus_id, label, embedded_label (-1 for none), predicted and
        correct on presentation, neuroid_id and layer on neuroid. Presentations are sorted by
        label, then as given; all are there, correct or not. `correct` compares with the
        prediction for a held-out class too, where it says little.

    Raises
    ------
    StoreError
        If the weights do not fit the recipe or the images.
    """
    labels = np.asarray(labels, dtype=np.int64)
    order = np.argsort(labels, kind="stable")
    labels = labels[order]
    on_values = np.broadcast_to(np.asarray(on_value, dtype=np.float32), labels.shape)[order]
    net = _Net(weights, recipe, x.shape[1], device)
    by_label = recipe.model != "BP"
    lit = _lit(positions, len(categories)) if by_label else ()

    representations = [np.empty((len(labels), width), np.float32) for width in recipe.widths]
    predicted = np.empty(len(labels), np.int64)
    embedded = np.full(len(labels), NO_LABEL, np.int64)
    with torch.inference_mode():
        for start in range(0, len(labels), block_size):
            rows = slice(start, start + block_size)
            block = torch.from_numpy(x[order[rows]]).to(device)
            if by_label:
                on = torch.from_numpy(on_values[rows].copy()).to(device)
                predicted[rows] = net.predict(block, on, lit)
                embedded[rows] = labels[rows]
                if unseen_label == "predicted" and held_out is not None:
                    unseen = labels[rows] == held_out
                    embedded[rows][unseen] = predicted[rows][unseen]
                for label, pixels in enumerate(lit):
                    of_label = torch.from_numpy(embedded[rows] == label).to(device)
                    block[of_label] = embed(block[of_label], on[of_label], pixels)
            layers = net.forward(block)
            if not by_label:
                predicted[rows] = net.readout(layers[-1]).argmax(dim=1).cpu().numpy()
            for whole, layer in zip(representations, layers, strict=True):
                whole[rows] = layer.cpu().numpy()

    coords = {
        "stimulus_id": ("presentation", np.asarray(stimulus_id, dtype=np.int64)[order]),
        "label": ("presentation", labels),
        "embedded_label": ("presentation", embedded),
        "predicted": ("presentation", predicted),
        "correct": ("presentation", predicted == labels),
    }
    root = {**(attrs or {}), "categories": list(categories), "held_out": held_out}
    tree = {"/": xr.Dataset(attrs=root)}
    for k, representation in enumerate(representations, 1):
        width = representation.shape[1]
        neuroid = {
            "neuroid_id": ("neuroid", np.arange(width)),
            "layer": ("neuroid", np.full(width, k)),
        }
        activation = xr.DataArray(
            representation,
            dims=("presentation", "neuroid"),
            coords={**coords, **neuroid},
            attrs={"long_name": f"activation ({recipe.activation}), before normalisation"},
        )
        tree[f"layer{k}"] = activation.to_dataset(name="activation")
    return xr.DataTree.from_dict(tree)


def embed(x: Tensor, on: Tensor, pixels: NDArray[np.int64]) -> Tensor:
    """Return `x` (presentations, pixels) with some pixels lit at each image's value `on`."""
    lit = x.clone()
    lit[:, torch.from_numpy(pixels)] = on[:, None]
    return lit


def norm(values: Tensor, kind: Norm) -> Tensor:
    """Return the norm of each row, shape (presentations,)."""
    return torch.linalg.vector_norm(values, ord=_ORDERS[kind], dim=1)


class _Net:
    """A trained net as the recipe describes it, only ever read."""

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        recipe: Recipe,
        pixels: int,
        device: str,
    ) -> None:
        self.recipe = recipe
        sizes = [pixels, *recipe.widths]
        names = [f"layer{k}" for k in range(1, len(sizes))]
        shapes = dict(zip(names, zip(sizes[1:], sizes[:-1], strict=True), strict=True))
        self.layers = []
        for name, shape in shapes.items():
            found = weights[f"{name}.weight"].shape if f"{name}.weight" in weights else None
            if found != shape:
                raise StoreError(
                    f"weights: {name}.weight is {found or 'missing'}, the recipe needs {shape}; "
                    "train this run again."
                )
            self.layers.append(_tensors(weights, name, device))
        if recipe.model == "BP":
            self._readout = _tensors(weights, "readout", device)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return each hidden layer's activations, (presentations, units), not normalised."""
        recipe = self.recipe
        divide = recipe.model != "BP"  # BP is a plain perceptron
        non_linearity = torch.sigmoid if recipe.activation == "sigmoid" else torch.relu
        activations: list[Tensor] = []
        for weight, bias in self.layers:
            if divide and (activations or recipe.normalise_input):
                x = x / norm(x, recipe.normalisation).clamp_min(_SMALLEST_NORM)[:, None]
            x = non_linearity(torch.nn.functional.linear(x, weight, bias))
            activations.append(x)
        return activations

    def readout(self, x: Tensor) -> Tensor:
        """Return BP's logits, (presentations, labels)."""
        return torch.nn.functional.linear(x, *self._readout)

    def predict(self, x: Tensor, on: Tensor, lit: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return the label whose embedding has the most goodness, (presentations,)."""
        goodness = torch.stack(
            [
                torch.stack(
                    [norm(a, self.recipe.goodness) for a in self.forward(embed(x, on, pixels))]
                )
                for pixels in lit
            ],
            dim=-1,
        )  # (layers, presentations, labels)
        if self.recipe.prediction == "softmax":
            goodness = goodness.softmax(dim=-1)
        return goodness.sum(dim=0).argmax(dim=-1).cpu().numpy()


def _tensors(
    weights: Mapping[str, NDArray[np.float32]], name: str, device: str
) -> tuple[Tensor, Tensor]:
    try:
        matrix, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    except KeyError as error:
        raise StoreError(f"weights: {error} is missing; train this run again.") from error
    return torch.from_numpy(matrix).to(device), torch.from_numpy(bias).to(device)


def _lit(positions: ArrayLike | None, n_labels: int) -> list[NDArray[np.int64]]:
    if positions is None or len(np.asarray(positions)) < n_labels:
        raise ValueError(f"positions: {n_labels} labels need their pixels, found {positions!r}.")
    table = np.asarray(positions, dtype=np.int64)
    return [np.atleast_1d(table[label]) for label in range(n_labels)]
