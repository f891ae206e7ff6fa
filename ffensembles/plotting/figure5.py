"""Figure 5: the activation map of layer 2, as figure 1C for layer 1."""

import xarray as xr
from matplotlib.figure import Figure

from ffensembles.plotting.activation_map import map_caption, map_figure
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.style import styled


@styled
def figure5(activations: xr.DataTree, *, layer: int = 2) -> Figure:
    """Draw figure 5.

    Parameters
    ----------
    activations
        Activations of one run.
    layer
        The layer to show.
    """
    return map_figure(activations, layer)


def caption5(activations: xr.DataTree, label: DatasetLabel, *, layer: int = 2) -> str:
    """Write figure 5's caption for this run."""
    return map_caption(5, activations, label, layer)
