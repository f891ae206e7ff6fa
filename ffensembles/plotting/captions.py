"""What captions are made of: names, numbers, and what differs from the study's own figure.

Captions are written for one run or set of runs, in reStructuredText.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.numbers import PROTOCOL

STUDY_IMAGES = {"mnist": 60_000, "fashionmnist": 60_000}
"""Training images of the study's data sets (Tosato et al. 2023, sec. 3.6)."""
STUDY_EPOCHS = {"FF": 1000, "BPFF": 1000, "BP": 20}
"""Epochs of training, for FF of each layer (Tosato et al. 2023, sec. 3.1-3.3)."""

EPSILON, RHO, N_H = "\N{GREEK SMALL LETTER EPSILON}", "\N{GREEK SMALL LETTER RHO}", r"n\ :sub:`h`"
"""Symbols of Method 2 (Tosato et al. 2023, sec. 3.4)."""


@dataclass(frozen=True)
class DatasetLabel:
    """How a data set is called, and at what scale it was learnt.

    Attributes
    ----------
    title
        Its name in print.
    categories
        Names of its classes, in the order of their labels.
    n_train
        Training images used; None says nothing of it.
    epochs
        Epochs by model; models left out are not spoken of.
    """

    title: str
    categories: tuple[str, ...]
    n_train: int | None = None
    epochs: Mapping[str, int] = field(default_factory=dict)


def escape(text: str) -> str:
    r"""Return text that reStructuredText takes as it is.

    Examples
    --------
    >>> print(escape("a*b_"))
    a\*b\_
    """
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def spoken(name: str) -> str:
    """Return a class's name as it can stand in a sentence or alone.

    Examples
    --------
    >>> spoken("Bag"), spoken("7")
    ('Bag', 'class 7')
    """
    return f"class {name}" if name.isdigit() else name


def listed(names: Iterable[str]) -> str:
    """Join names as one says them.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = list(names) or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def number(value: float, digits: int = 2) -> str:
    """Write a number with at most so many decimals, or say that there is none.

    Examples
    --------
    >>> number(39.2), number(3.0), number(float("nan"))
    ('39.2', '3', 'missing')
    """
    if pd.isna(value):
        return "missing"
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mean_and_error(values: Iterable[float], digits: int = 2, count: bool = True) -> str:
    """Write the mean over runs, its standard error if there is one, and, if asked, their number.

    Examples
    --------
    >>> mean_and_error([1.0, 2.0, 3.0]), mean_and_error([2.0])
    ('2 ± 0.58 (n = 3)', '2 (n = 1)')
    """
    known = np.asarray([value for value in values if not pd.isna(value)], dtype=float)
    if known.size == 0:
        return "missing"
    error = ""
    if known.size > 1:
        error = f" ± {number(float(known.std(ddof=1) / np.sqrt(known.size)), digits)}"
    n = f" (n = {known.size})" if count else ""
    return f"{number(float(known.mean()), digits)}{error}{n}"


def of_run(attrs: Mapping[str, Any], label: DatasetLabel) -> str:
    """Name the run that a figure shows: model, data set, protocol, seed, class left out."""
    model = MODEL_TITLES.get(attrs["model"], attrs["model"])
    text = f"{model} trained on {escape(label.title)}"
    held_out = attrs.get("held_out")
    if held_out is not None:
        text += f" without {escape(spoken(label.categories[held_out]))}"
    return f"{text} (protocol {attrs['protocol']}, seed {attrs['seed']})"


def lost(names: Sequence[str]) -> str:
    """Say which classes have no correctly classified image; nothing if none."""
    if not names:
        return ""
    said = listed(escape(spoken(name)) for name in names)
    return (
        f"No test image of {said} is classified correctly: "
        f"{'this class has' if len(names) == 1 else 'these classes have'} no ensemble."
    )


def differences(
    labels: Mapping[str, DatasetLabel],
    models: Iterable[str],
    protocol: str,
    study: Sequence[str] = (),
) -> str:
    """Say how data sets, scale and protocol differ from the study's figure; nothing if they do not.

    Parameters
    ----------
    labels
        The data sets shown.
    models
        The models shown.
    protocol
        The runs' protocol.
    study
        Data sets that the study's figure shows; none if it does not say.
    """
    said = []
    if protocol != PROTOCOL:
        said.append(f"The study's figure is of protocol {PROTOCOL}.")
    titles = {"mnist": "MNIST", "fashionmnist": "FashionMNIST"}
    if study and set(labels) != set(study):
        said.append(f"The study's figure shows {listed(titles[name] for name in study)}.")
    trained: dict[str, list[str]] = {}  # titles of data sets by what is to be said of them
    for name, label in labels.items():
        images = STUDY_IMAGES.get(name)
        parts = []
        if label.n_train is not None and label.n_train != images:
            theirs = f" (the study: {images:,})" if images else ""
            parts.append(f"{label.n_train:,} images{theirs}")
        for model in models if protocol == PROTOCOL else ():
            ours, theirs_ = label.epochs.get(model), STUDY_EPOCHS.get(model)
            if ours is not None and ours != theirs_:
                per = "epochs a layer" if model == "FF" else "epochs"
                parts.append(f"{ours:,} {per} of {MODEL_TITLES[model]} (the study: {theirs_:,})")
        if parts:
            trained.setdefault(listed(parts), []).append(escape(label.title))
    said += [f"Training on {listed(titled)}: {parts}." for parts, titled in trained.items()]
    return " ".join(said)


def paragraph(figure: int, title: str, *sentences: str) -> str:
    """Put a caption together: its number and title in bold, then what there is to say."""
    return " ".join([f"**Figure {figure}. {title}.**", *filter(None, sentences)])
