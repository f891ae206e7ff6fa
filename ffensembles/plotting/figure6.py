"""Figure 6: the activation map of layer 3, as figure 1C for layer 1."""

import xarray as xr
from matplotlib.figure import Figure

from ffensembles.plotting.activation_map import map_caption, map_figure
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.style import styled


@styled
def figure6(activations: xr.DataTree, *, layer: int = 3) -> Figure:
    """Draw figure 6.

    Parameters
    ----------
    activations
        Activations of one run.
    layer
        The layer to show.
    """
    return map_figure(activations, layer)


def caption6(activations: xr.DataTree, label: DatasetLabel, *, layer: int = 3) -> str:
    """Write figure 6's caption for this run."""
    return map_caption(6, activations, label, layer)
