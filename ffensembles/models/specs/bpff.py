"""BP/FF: the goodness of all layers, end to end by backpropagation."""

from ffensembles.models.fit import EndToEndFit
from ffensembles.models.spec import ModelSpec

SPEC = ModelSpec(
    name="BPFF",
    title="BP/FF",
    description="the same goodness, of all layers, end to end",
    order=2,
    reads_labels=True,
    normalises=True,
    layerwise=False,
    readout=False,
    parameters=EndToEndFit,
    plain_step="ffensembles.models.plain:goodness_step",
    batched_step="ffensembles.engine.steps.bpff:add_gradients",
    trains_as={("objective", "local"): "FF"},
)
