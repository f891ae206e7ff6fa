"""The same mathematics as in `ffensembles.models`, made fast: one interface, `train`."""

from ffensembles.engine.training import (
    HISTORY_COLUMNS,
    Held,
    Settings,
    State,
    Stopped,
    Trained,
    train,
)

__all__ = ["HISTORY_COLUMNS", "Held", "Settings", "State", "Stopped", "Trained", "train"]
