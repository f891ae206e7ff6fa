"""The registry of models: what the pipeline has to know of each before anything is trained.

Every module in `ffensembles.models.specs` describes one model as `SPEC`. All other code asks the
specification and does not compare names. This module does not import torch.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ffensembles.models.fit import Fit
from ffensembles.runtime.declared import declared


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    Attributes
    ----------
    name
        Its name in configuration and paths. A path cannot hold a slash.
    title
        Its name in tables, figures and text.
    description
        What it is, in a few words; the configuration's description of its parameters.
    order
        Its place in tables and figures, smallest first.
    reads_labels
        Whether it reads images that carry a label in their label pixels, and learns from images
        with true labels (positive) and wrong labels (negative) by their goodness. Otherwise it
        reads images without a label.
    normalises
        Whether each layer reads the activations of the layer below divided by their norm.
    layerwise
        Whether its layers are trained one after another; otherwise the whole net at once.
    readout
        Whether a linear readout of the last layer predicts the class; otherwise the goodness of
        every label does.
    parameters
        Its training parameters, a pydantic model.
    plain_step
        One training step by autograd, as "module:function". The function is called with a
        `models.plain.PlainStage`, the epoch and the batch, and returns `models.plain.Measures`.
    batched_step
        The gradients of one block for several runs, as "module:function". The function is called
        with an `engine.batched.BatchedStage`, the block's rows and the number of presentations
        in the batch, and adds to the stage's gradients.
    winner_search
        Whether a CPU may train it on the full batch with l-inf goodness by
        `engine.winner_stage`, which computes winning units alone. Only where `plain_step` is
        FF's.
    trains_as
        By a parameter and its value, with which the net is trained as another model is: that
        model's name. A run of such a setting is set beside what was published of that model.
    """

    name: str
    title: str
    description: str
    order: int
    reads_labels: bool
    normalises: bool
    layerwise: bool
    readout: bool
    parameters: type[Fit]
    plain_step: str
    batched_step: str
    winner_search: bool = False
    trains_as: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def unread(self) -> frozenset[str]:
        """Keys of a protocol, those of models left out, that change nothing of this model."""
        keys: set[str] = set()
        if not self.reads_labels:
            keys |= {"label_value", "negatives", "held_out_negatives", "unseen_label"}
        if not self.normalises:
            keys |= {"normalisation", "normalise_input"}
        if self.readout:
            keys |= {"goodness", "prediction"}
        return frozenset(keys)

    @property
    def declared(self) -> str:
        """The module of this specification."""
        return f"ffensembles.models.specs.{self.name.lower()}"


def resolve(step: str) -> Callable[..., Any]:
    """Import a step, given as "module:function".

    Raises
    ------
    ImportError, AttributeError
        If there is no such module or function.
    """
    found: Callable[..., Any] = pkgutil.resolve_name(step)
    return found


def trained_as(model: str, setting: str, value: str) -> str:
    """Name the model that a model is trained as if one setting is varied; most often itself.

    Examples
    --------
    >>> trained_as("BPFF", "BPFF.objective", "local"), trained_as("BPFF", "BPFF.theta", "2.0")
    ('FF', 'BPFF')
    """
    group, _, key = setting.partition(".")
    return MODELS[model].trains_as.get((key, value), model) if group == model else model


def _registered() -> dict[str, ModelSpec]:
    """Import every module of `models.specs`; return their models by name, in order."""
    package = importlib.import_module("ffensembles.models.specs")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    return declared(modules, "SPEC")


MODELS: dict[str, ModelSpec] = _registered()
"""Every model by name, in the order of tables and figures."""
