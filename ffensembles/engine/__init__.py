"""The same mathematics as in `ffensembles.models`, made fast: one interface, `train`."""

from ffensembles.engine.looking import Held
from ffensembles.engine.stages import takes_many
from ffensembles.engine.training import (
    HISTORY_COLUMNS,
    MEMORY,
    Settings,
    State,
    Stopped,
    Trained,
    train,
    train_block,
)

__all__ = [
    "HISTORY_COLUMNS",
    "MEMORY",
    "Held",
    "Settings",
    "State",
    "Stopped",
    "Trained",
    "takes_many",
    "train",
    "train_block",
]
