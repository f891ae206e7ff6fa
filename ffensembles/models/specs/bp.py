"""BP: classification by backpropagation of the cross-entropy."""

from ffensembles.models.fit import ClassificationFit
from ffensembles.models.spec import ModelSpec

SPEC = ModelSpec(
    name="BP",
    title="BP",
    description="cross-entropy",
    order=3,
    reads_labels=False,
    normalises=False,
    layerwise=False,
    readout=True,
    parameters=ClassificationFit,
    plain_step="ffensembles.models.plain:classification_step",
    batched_step="ffensembles.engine.steps.bp:add_gradients",
)
