"""A model that tests add: a perceptron with squared error, its layers not normalised."""

# Two files, as a user would write them: the specification with the plain step, the batched step.
# The model: a perceptron with squared error, its layers not normalised.
TOY_SPEC = '''
"""Toy: least squares."""
from ffensembles.models.fit import Fit
from ffensembles.models.spec import ModelSpec


def plain_step(stage, epoch, batch):
    from torch.nn.functional import one_hot
    from ffensembles.models.network import logits
    from ffensembles.models.plain import Measures
    task = stage.task
    out = logits(stage.weights, task.recipe, task.x[batch])
    wanted = one_hot(task.labels[batch], task.n_labels).to(out.dtype)
    loss = ((out - wanted) ** 2).sum(1).mean() / 2
    stage.descend(loss)
    return Measures(float(loss.detach()))


SPEC = ModelSpec(
    name="TOY", title="Toy/LS", description="least squares", order=9, reads_labels=False,
    normalises=False, layerwise=False, readout=True, parameters=Fit,
    plain_step="ffensembles.models.specs.toy:plain_step",
    batched_step="ffensembles.engine.steps.toy:add_gradients",
)
'''
TOY_STEP = '''
"""The gradients of the toy model."""
from torch.nn.functional import one_hot
from ffensembles.engine.algebra import linear, product, take
from ffensembles.engine.slopes import activation_slope
from ffensembles.models.network import activate


def add_gradients(stage, rows, n):
    h = [take(stage.x, rows)]
    layers = range(1, len(stage.recipe.widths) + 1)
    for layer in layers:
        h.append(activate(linear(h[-1], *stage.parameters(layer)), stage.recipe))
    out = linear(h[-1], *stage.parameters(0))
    dz = out - one_hot(stage.labels(True, rows), stage.task.n_labels).to(out.dtype)
    stage.seen[0] += (dz ** 2).sum((1, 2)) / (2 * n)
    dz = dz / n
    for layer in [0, *reversed(layers)]:
        below = h.pop()
        stage.add(layer, below, dz, None)
        if layer != 1:
            dh = product(dz, stage.parameters(layer)[0])
            dz = dh * activation_slope(below, stage.recipe)
'''
