"""The figures: tidy frames and labelled arrays in, matplotlib figures and captions out.

`registry.KINDS` holds the kinds of figure, one module each in `kinds`; `costs` and `sweep` draw
what is no figure of the study. Nothing here reads files or knows torch; `saving.save_figure`
writes. matplotlib and seaborn are imported when something is drawn. Figures are made without
pyplot and leave no setting behind.
"""

from ffensembles.plotting import kinds
from ffensembles.plotting.registry import KINDS, Kind, Needs, Shown, register

__all__ = ["KINDS", "Kind", "Needs", "Shown", "kinds", "register"]
