"""FF: the Forward-Forward algorithm, layer by layer."""

from ffensembles.models.fit import GoodnessFit
from ffensembles.models.spec import ModelSpec

SPEC = ModelSpec(
    name="FF",
    title="FF",
    description="layer by layer",
    order=1,
    reads_labels=True,
    normalises=True,
    layerwise=True,
    readout=False,
    parameters=GoodnessFit,
    plain_step="ffensembles.models.plain:goodness_step",
    batched_step="ffensembles.engine.steps.ff:add_gradients",
    winner_search=True,
)
