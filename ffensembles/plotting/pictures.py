"""Pictures of activity that several kinds share: squares, mean activations, scales of colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ffensembles.plotting.style import ACTIVITY, BLUE, INK, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

_NEEDLE = "#A9B4BD"
_SHARE = 0.995  # of the values above 0: where a scale of colours ends


def activity_colours(bad: str = "white") -> Colormap:
    """Return the map from activation to colour; `bad` is for places without a value."""
    from matplotlib import colormaps

    return colormaps[ACTIVITY].with_extremes(bad=bad)


def upper_limit(*values: NDArray[np.floating]) -> float:
    """Return the largest value, rounded up to 1, 2 or 5 times a power of ten: the end of a scale.

    Examples
    --------
    >>> upper_limit(np.array([0.1, 0.43])), upper_limit(np.array([2.1])), upper_limit(np.zeros(2))
    (0.5, 5.0, 1.0)
    """
    top = max((float(np.nanmax(v)) for v in values if np.isfinite(v).any()), default=0.0)
    if top < np.finfo(float).tiny:  # below it, powers of ten are not exact
        return 1.0
    power = 10.0 ** np.floor(np.log10(top))
    return float(next(n * power for n in (1, 2, 5, 10) if top <= n * power * (1 + 1e-6)))


@dataclass(frozen=True)
class Scale:
    """A scale of colours, from 0 to `limit`; `cut` says whether values lie beyond it."""

    limit: float
    cut: bool

    @property
    def said(self) -> str:
        """What a caption says of it: nothing if it holds all values."""
        return (
            f"Colours end at {self.limit:g}, the {_SHARE:.1%} quantile of the activations above 0, "
            "rounded up; those beyond it have the last colour."
            if self.cut
            else ""
        )


def scale_of(*values: NDArray[np.floating]) -> Scale:
    """Choose a scale of colours that a few outliers do not make pale.

    Activations up to 1, as a sigmoid gives them, are shown in full. Others have no upper bound:
    their scale ends at a quantile of the values above 0, which are those that differ from silence.

    Examples
    --------
    >>> scale_of(np.array([0.0, 0.3])), scale_of(np.append(np.full(999, 4.0), 900.0))
    (Scale(limit=0.5, cut=False), Scale(limit=5.0, cut=True))
    """
    known = np.concatenate([v[np.isfinite(v)] for v in map(np.ravel, values)])
    if not known.size or known.max() <= 1:
        return Scale(upper_limit(known), False)
    limit = upper_limit(np.quantile(known[known > 0], [_SHARE]))
    return Scale(limit, bool(known.max() > limit))


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
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color=INK)
    return image


def draw_means(
    axes: Axes,
    mean: NDArray[np.floating],
    active: NDArray[np.bool_],
    limit: float,
    size: float = 1.8,
) -> None:
    """Show each unit's mean activation as a needle; the ensemble's are blue, with a dot above.

    The dots stand clear of the needles, so that both can be seen however many there are.
    """
    from matplotlib.transforms import ScaledTranslation

    units = np.arange(mean.size)
    axes.vlines(units[~active], 0, mean[~active], color=_NEEDLE, linewidth=0.6)
    axes.vlines(units[active], 0, mean[active], color=BLUE, linewidth=0.7, zorder=3)
    figure: Any = axes.figure
    above = ScaledTranslation(0, (0.5 * size + 1) / 72, figure.dpi_scale_trans)
    axes.plot(
        units[active], mean[active], "o", color=BLUE, markersize=size, markeredgewidth=0,
        transform=axes.transData + above, zorder=4, clip_on=False, in_layout=False,
    )  # fmt: skip
    unit_axis(axes, mean.size)
    axes.set_ylim(0, limit * 1.1)


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
    scale: Scale,
    **options: object,
) -> None:
    """Add the scale of activations to a part of a figure, with an arrow if values lie beyond."""
    extend = "max" if scale.cut else "neither"
    bar = part.colorbar(image, ax=axes, extend=extend, **options)  # type: ignore[arg-type]
    bar.outline.set_linewidth(0.5)
    bar.set_label(f"{what} (a.u.)", labelpad=4)
