"""The recipe of a run: everything that determines its mathematics."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from ffensembles.models import spec
from ffensembles.models.fit import Loss, Negatives, Objective
from ffensembles.models.spec import ModelSpec

MODEL_TITLES = {name: known.title for name, known in spec.MODELS.items()}
"""Names of models in configuration and paths, and the study's names for them."""

MODELS = tuple(spec.MODELS)

if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[MODELS]

Norm = Literal["linf", "l2", "l1"]


def of_model(mathematics: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return a protocol's mathematics with the keys of a model's own group laid over it.

    A key of the group that is null, where the protocol has one of that name, leaves that one.

    Examples
    --------
    >>> shared = {"negatives": "pooled", "FF": {"theta": 0.5, "negatives": None}}
    >>> of_model(shared, "FF")["negatives"]
    'pooled'
    >>> of_model({**shared, "FF": {"negatives": "once"}}, "FF")["negatives"]
    'once'
    """
    own = mathematics[model].items()
    said = {key: value for key, value in own if value is not None or key not in mathematics}
    return {**mathematics, **said}


@dataclass(frozen=True)
class Recipe:
    """One model's training as the study defines it (Tosato et al. 2023, sec. 3.1-3.3).

    An attribute that was added after the first runs were kept has a default, which means what
    training did before. JSON leaves it out where it has that value. So metadata, fingerprints,
    parameters of rules and names in the cache of earlier runs stay as they are.

    Attributes
    ----------
    model
        Name of the model, a key of `models.spec.MODELS`.
    widths
        Units of each hidden layer.
    activation
        Non-linearity of the hidden layers.
    goodness
        Norm of a layer's activations that is its goodness.
    normalisation
        Norm that divides a layer's activations before the next layer reads them.
    normalise_input
        Whether the first layer's input is divided by its norm too.
    label_value
        Value of the label pixel: that of a white pixel (`dataset`), or the maximum of each image.
    prediction
        `goodness`: arg max over labels of the goodness summed over layers; `softmax`: arg max of
        the softmax over labels of each layer's goodness, summed over layers.
    negatives
        An image's negative carries a wrong label, drawn `once` or again in `each-epoch`;
        `pooled`: as many negatives as images, drawn once from all images with all wrong labels;
        `permuted`: the labels of all images, permuted once, so that with n equally frequent
        labels one negative in n carries its image's true label.
    held_out_negatives
        Whether a run without one class may `include` that class's label among its negatives.
    theta
        Threshold of the goodness; None for `BP`. For `BPFF` see `objective`.
    learning_rate, epochs, batch_size
        Adam's; epochs are per layer for `FF`, 0 leaves the net untrained; a batch size of None
        means the full batch.
    l1_penalty
        Weight of the sum of |a| over a batch's images, hidden layers and units in the loss of
        `BP`, beside the mean cross-entropy. Later than the first kept runs; 0: none.
    phases
        `n-m`: n steps that learn from positive data alone and m from negative data alone, in turn
        (Hinton 2022, "sleep" and "wake"), of models that learn from both; `0-0`: every step
        learns from both.
    objective
        What `BPFF` compares with theta. `sum`, `mean`, `max`: the goodness summed or averaged
        over layers, or the largest of any layer, in one loss; `layers`: each layer's goodness, in
        a loss of its own, all of which are summed; `local`: likewise, but no gradient goes from a
        layer to the one below. That is FF with all layers trained at once.
    loss
        Of models that learn from goodness: the `mean` over a step's presentations, or their `sum`.
        Adam divides a gradient by its own size plus 1e-8, so the two differ only where gradients
        of the mean are hardly larger than that, as in layers whose winners saturate.
    """

    model: str
    widths: tuple[int, ...]
    activation: Literal["sigmoid", "relu"]
    goodness: Norm
    normalisation: Norm
    normalise_input: bool
    label_value: Literal["dataset", "image"]
    prediction: Literal["goodness", "softmax"]
    negatives: Negatives
    held_out_negatives: Literal["exclude", "include"]
    theta: float | None
    learning_rate: float
    epochs: int
    batch_size: int | None
    l1_penalty: float = 0.0
    phases: str = "0-0"
    objective: Objective = "sum"
    loss: Loss = "mean"

    @property
    def spec(self) -> ModelSpec:
        """What its model is."""
        return spec.MODELS[self.model]

    @property
    def valid_activations(self) -> dict[str, float]:
        """What values activations can have, as attributes of the CF conventions."""
        return {"valid_min": 0.0, **({"valid_max": 1.0} if self.activation == "sigmoid" else {})}

    @property
    def steps_of_phases(self) -> tuple[int, int]:
        """How many steps in a row learn from positive data alone, and from negative; or 0, 0."""
        positive, negative = map(int, self.phases.split("-"))
        return positive, negative

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON types, without attributes that have their default."""
        unsaid = {
            field.name for field in fields(self) if getattr(self, field.name) == field.default
        }
        said = {name: value for name, value in asdict(self).items() if name not in unsaid}
        return {**said, "widths": list(self.widths)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Recipe":
        """Build a recipe from what `as_json` gave, now or before an attribute was added.

        Raises
        ------
        KeyError
            If an attribute without a default is missing.
        """
        known = {
            field.name: content[field.name]
            for field in fields(cls)
            if field.name in content or field.default is MISSING
        }
        return cls(**{**known, "widths": tuple(known["widths"])})

    @property
    def images(self) -> dict[str, Any]:
        """What `datasets.prepare` has to know of how the net reads images."""
        return {"labelled": self.spec.reads_labels, "label_value": self.label_value}

    def but(self, **changes: Any) -> "Recipe":
        """Return the same recipe with some entries changed."""
        return replace(self, **changes)


def _check_parameters() -> None:
    """Raise TypeError where a model has a parameter that a recipe would leave out."""
    known = {field.name for field in fields(Recipe)}
    for name, one in spec.MODELS.items():
        if unknown := sorted({*one.parameters.model_fields} - known):
            raise TypeError(
                f"{name}: its parameter {unknown[0]} is no attribute of Recipe; write it there."
            )


_check_parameters()
