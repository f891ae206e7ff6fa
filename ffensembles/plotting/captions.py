"""What captions are made of: names, numbers, and what differs from the study's own figure.

Captions are written for one run or set of runs, in reStructuredText.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ffensembles.datasets import DATASETS
from ffensembles.plotting.models import title_of
from ffensembles.publication.numbers import Published
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from ffensembles.plotting.registry import Shown

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


def number(value: float, digits: int = 2) -> str:
    """Write a number with at most so many decimals, or say that there is none.

    Of a number that has none of them its first digit is written, so that it is not taken for 0.

    Examples
    --------
    >>> number(39.2), number(3.0), number(0.00046), number(float("nan"))
    ('39.2', '3', '0.0005', 'missing')
    """
    if pd.isna(value):
        return "missing"
    text = f"{value:.{digits}f}"
    if value and not float(text):
        return np.format_float_positional(value, 1, fractional=False, trim="-")
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
        spread = float(known.std(ddof=1)) if np.ptp(known) else 0.0
        error = f" ± {number(spread / np.sqrt(known.size), digits)}"
    n = f" (n = {known.size})" if count else ""
    return f"{number(float(known.mean()), digits)}{error}{n}"


def of_run(attrs: Mapping[str, Any], label: DatasetLabel) -> str:
    """Name the run that a figure shows: model, data set, protocol, seed, class left out."""
    text = f"{title_of(attrs['model'])} trained on {escape(label.title)}"
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


def differences(shown: Shown, models: Iterable[str]) -> str:
    """Say how data sets and scale differ from the study's own figure; nothing if they do not."""
    study, models = shown.study, list(models)
    theirs, images = study.get("datasets", ()), study.get("images", {})
    said = []
    if theirs and set(shown.labels) != set(theirs):
        names = (DATASETS[name].title if name in DATASETS else name for name in theirs)
        said.append(f"The study's figure shows {listed(map(escape, names))}.")
    trained: dict[str, list[str]] = {}  # titles of data sets by what is to be said of them
    for name, label in shown.labels.items():
        parts = []
        if label.n_train is not None and label.n_train != images.get(name):
            beside = f" (the study: {images[name]:,})" if name in images else ""
            parts.append(f"{label.n_train:,} images{beside}")
        for model in models:
            ours, published = label.epochs.get(model), study.get("epochs", {}).get(model)
            if None not in (ours, published) and ours != published:
                parts.append(f"{ours:,} epochs of {title_of(model)} (the study: {published:,})")
        if parts:
            trained.setdefault(listed(parts), []).append(escape(label.title))
    said += [f"Training on {listed(titles)}: {parts}." for parts, titles in trained.items()]
    return " ".join(said)


def as_published(number: Published | None, short: bool = False) -> str:
    """Return a published number with its conditions, in brackets; nothing if there is none.

    Parameters
    ----------
    number
        The number.
    short
        Only the value, and the range of single runs: for captions with many numbers.

    Examples
    --------
    >>> one = Published("shared_units", "Figure 3A", 1.73, runs=15, note="both classes")
    >>> as_published(one), as_published(one, short=True)
    (' (the study, Figure 3A: 1.73 over 15 runs; both classes)', ' (the study: 1.73)')
    """
    if number is None:
        return ""
    ends = (number.low, number.high)
    span = "" if None in ends or ends[0] == ends[1] else f", {ends[0]:g} to {ends[1]:g}"
    if short:
        return f" (the study: {number.value:g}{span})"
    runs = f" over {plural(number.runs, 'run')}" if number.runs else ""
    note = f"; {escape(number.note)}" if number.note else ""
    how = "" if number.known == "printed" else f"; conditions {number.known}"
    return f" (the study, {number.source}: {number.value:g}{span}{runs}{note}{how})"


def n_of_runs(counts: Iterable[int], study: Mapping[str, Any]) -> str:
    """Say how many runs there are, from the number in each group, and in the study's figure.

    Examples
    --------
    >>> n_of_runs([2, 15], {"runs": 15}), n_of_runs([1], {})
    ('2 to 15 runs (the study: 15)', '1 run')
    """
    known = sorted(set(map(int, counts))) or [0]
    said = plural(known[0], "run") if len(known) == 1 else f"{known[0]} to {known[-1]} runs"
    theirs = study.get("runs")
    return f"{said} (the study: {theirs})" if theirs and known != [theirs] else said


def paragraph(figure: str, title: str, *sentences: str) -> str:
    """Put a caption together: the figure's number and title in bold, then what there is to say.

    Where a mean has an error, what it is stands at the end.

    Examples
    --------
    >>> paragraph("figure3", "Units", "A.", "", "B."), paragraph("curves", "Curves", "A.")
    ('**Figure 3. Units.** A. B.', '**Curves.** A.')
    >>> paragraph("curves", "Curves", "2 ± 1.")
    '**Curves.** 2 ± 1. ± is the standard error over runs.'
    """
    number = re.fullmatch(r"figure(\d+)", figure)
    head = f"Figure {number[1]}. {title}" if number else title
    errors = any(" ± " in sentence for sentence in sentences)
    said = [*filter(None, sentences), *(["± is the standard error over runs."] if errors else [])]
    return " ".join([f"**{head}.**", *said])


def run_title(attrs: Mapping[str, Any], label: DatasetLabel) -> str:
    """Name the model and the data set of a run, as it stands at the head of a figure.

    Examples
    --------
    >>> attrs = {"model": "BPFF", "held_out": 1}
    >>> run_title(attrs, DatasetLabel("MNIST", ("0", "1")))
    'BP/FF, MNIST without class 1'
    """
    held_out = attrs.get("held_out")
    without = "" if held_out is None else f" without {spoken(label.categories[held_out])}"
    return f"{title_of(attrs['model'])}, {label.title}{without}"
