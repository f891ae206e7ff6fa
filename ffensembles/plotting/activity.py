"""Pictures of activity that several figures share: squares and mean activations."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ffensembles.plotting.style import ACTIVITY, BLUE, INK, PALE

_NEEDLE = "#8C9BA8"


def activity_colours(bad: str = "white") -> Colormap:
    """Return the map from activation to colour; `bad` is for places without a value."""
    return colormaps[ACTIVITY].with_extremes(bad=bad)


def upper_limit(*values: NDArray[np.floating]) -> float:
    """Return the largest value, rounded up to 1, 2 or 5 times a power of ten: the end of a scale.

    Examples
    --------
    >>> upper_limit(np.array([0.1, 0.43])), upper_limit(np.array([2.1])), upper_limit(np.zeros(2))
    (0.5, 5.0, 1.0)
    """
    top = max((float(np.nanmax(v)) for v in values if np.isfinite(v).any()), default=0.0)
    if top <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(top))
    return float(next(n * power for n in (1, 2, 5, 10) if top <= n * power * (1 + 1e-6)))


def activation_unit(limit: float) -> str:
    """Return the unit of activations: a sigmoid's lie between 0 and 1, others have no end."""
    return "(a.u., 0 to 1)" if limit <= 1 else "(a.u.)"


def as_square(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Arrange a layer's units (n,) row by row in a near-square; places left over are NaN.

    Examples
    --------
    >>> as_square(np.arange(5.0)).tolist()
    [[0.0, 1.0, 2.0], [3.0, 4.0, nan]]
    """
    columns = int(np.ceil(np.sqrt(values.size)))
    rows = int(np.ceil(values.size / columns))
    square = np.full(rows * columns, np.nan)
    square[: values.size] = values
    return square.reshape(rows, columns)


def draw_square(axes: Axes, values: NDArray[np.floating], limit: float) -> AxesImage:
    """Show a layer's units as the pixels of a square; darker is more active."""
    image = axes.imshow(as_square(values), cmap=activity_colours(PALE), vmin=0, vmax=limit)
    frame(axes)
    return image


def frame(axes: Axes) -> None:
    """Frame axes that hold a picture: no ticks, a thin line all around."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color=INK)


def draw_means(
    axes: Axes,
    mean: NDArray[np.floating],
    active: NDArray[np.bool_],
    limit: float,
    size: float = 3.0,
) -> None:
    """Show each unit's mean activation as a needle, and a dot on those of the ensemble."""
    units = np.arange(mean.size)
    axes.vlines(units, 0, mean, color=_NEEDLE, linewidth=0.6)
    axes.plot(units[active], mean[active], "o", color=BLUE, markersize=size, markeredgewidth=0)
    unit_axis(axes, mean.size)
    axes.set_ylim(0, limit * 1.08)


def unit_axis(axes: Axes, n: int) -> None:
    """Make the x axis that of a layer's n units."""
    axes.set_xlim(-0.5 - 0.01 * n, n - 0.5 + 0.01 * n)
    step = 10 ** int(np.floor(np.log10(max(n - 1, 1))))
    step = next(s for s in (step // 5 or 1, step // 2 or 1, step, 2 * step) if n / s <= 5)
    axes.set_xticks(range(0, n, step))


def activity_bar(
    part: Figure | SubFigure,
    image: AxesImage,
    axes: Axes | Sequence[Axes] | NDArray[np.object_],
    what: str,
    **options: object,
) -> None:
    """Add the scale of activations to a part of a figure."""
    bar = part.colorbar(image, ax=axes, **options)  # type: ignore[arg-type]
    bar.outline.set_linewidth(0.5)
    bar.set_label(f"{what} {activation_unit(image.get_clim()[1])}")
