"""Published numbers of both editions: those of 2023, and the search among all.

Numbers of 2023 are of the protocol `sigmoid-linf`, means over 15 runs unless the entry says
otherwise (Tosato et al., arXiv:2305.18353, first version, 2023). `numbers2025` has the later ones.
"""

import math
from collections.abc import Iterator

from ffensembles.publication.numbers2025 import PUBLISHED_2025
from ffensembles.publication.published import Published

PROTOCOL = "sigmoid-linf"
DATASETS = ("mnist", "fashionmnist")
RUNS = 15
SIZE_METHOD, SIZE_QUANTILE = "method1", 0.95
"""What the published sizes (Table 2) were measured with."""
REGRESSION_QUANTILE = 0.99
"""Method 1's quantile in the published regression (Figure 8B)."""
UNSEEN_METHOD = "method2"
"""The method that the published response to an unseen class was measured with (Figure 4)."""
SHARING_METHOD, SHARING_QUANTILE, SHARING_CLASSES = "method1", 0.9, (2, 4)
"""What the published number of shared units was measured with (Figure 3)."""
HELD_OUT = 0
"""The class that the publication leaves out (Figure 4)."""
UNITS = 784
"""Of each of its hidden layers."""


# (dataset, model): (value, standard error)
_ACCURACY = {
    ("mnist", "FF"): (0.93, 1.0e-3),
    ("mnist", "BPFF"): (0.79, 1.2e-3),
    ("mnist", "BP"): (0.77, 7.6e-2),
    ("fashionmnist", "FF"): (0.78, 7.3e-3),
    ("fashionmnist", "BPFF"): (0.79, 8.1e-3),
    ("fashionmnist", "BP"): (0.82, 2.5e-3),
}

# (dataset, model): (value, standard error) of layers 1, 2, 3
_SIZE = {
    ("mnist", "FF"): ((2.7, 0.04), (5.5, 0.30), (1.5, 0.13)),
    ("mnist", "BPFF"): ((6.1, 0.80), (15.9, 2.87), (38.9, 0.11)),
    ("mnist", "BP"): ((287.7, 7.82), (133.4, 13.45), (39.8, 0.65)),
    ("fashionmnist", "FF"): ((2.3, 0.07), (18.2, 1.01), (7.2, 0.73)),
    ("fashionmnist", "BPFF"): ((17.5, 0.53), (33.9, 0.62), (2.2, 0.30)),
    ("fashionmnist", "BP"): ((304.7, 2.55), (132.9, 6.65), (39.0, 0.09)),
}

# (dataset, model): fraction in layers 1, 2, 3
_POSITIVE = {
    ("mnist", "FF"): (0.63, 0.002, 0.035),
    ("mnist", "BPFF"): (0.64, 0.36, 0.49),
    ("mnist", "BP"): (0.44, 0.32, 0.24),
    ("fashionmnist", "FF"): (0.44, 0.012, 0.038),
    ("fashionmnist", "BPFF"): (0.43, 0.17, 0.005),
    ("fashionmnist", "BP"): (0.49, 0.32, 0.24),
}


def floor(quantile: float) -> float:
    """Return Method 1's floor in the study's layers, in units.

    Examples
    --------
    >>> round(floor(0.95), 1)
    39.2
    """
    return (1 - quantile) * UNITS


def _tables() -> Iterator[Published]:
    for (dataset, model), (value, se) in _ACCURACY.items():
        yield Published("accuracy", "Table 1", value, se, dataset, model, runs=RUNS)
    for (dataset, model), sizes in _SIZE.items():
        for layer, (value, se) in enumerate(sizes, 1):
            yield Published(
                "ensemble_size", "Table 2", value, se, dataset, model, layer, RUNS,
                f"Method 1 at quantile {SIZE_QUANTILE}, whose floor is {floor(SIZE_QUANTILE):.1f} "
                f"of {UNITS} units",
                method=SIZE_METHOD, quantile=SIZE_QUANTILE,
            )  # fmt: skip
    for (dataset, model), fractions in _POSITIVE.items():
        for layer, fraction in enumerate(fractions, 1):
            yield Published("positive_weights", "Table 3", fraction, None, dataset, model, layer)


UNSEEN_LAYER = 1
"""The layer taken for the unseen class's numbers: the study does not say which one is theirs."""

_SINGLE = (
    Published(
        "shared_units", "Figure 3A", 1.73, None, "fashionmnist", "FF", 1, RUNS,
        "units shared by the two example classes; Method 1 at quantile 0.9",
        method=SHARING_METHOD, quantile=SHARING_QUANTILE, categories=SHARING_CLASSES,
    ),
    Published(
        "unseen_size", "Figure 4", 1, None, "fashionmnist", "FF", None, 1,
        "active units for the class left out (the first), Method 2",
        method=UNSEEN_METHOD, held_out=HELD_OUT,
    ),
    Published(
        "unseen_activity", "Section 4.4", 0.34, None, "fashionmnist", "FF", None, 1,
        "mean activity of the unit active for the class left out",
        method=UNSEEN_METHOD, held_out=HELD_OUT,
    ),
    Published(
        "seen_activity", "Section 4.4", 0.43, None, "fashionmnist", "FF", None, 1,
        "mean activity of the units active for the other classes",
        method=UNSEEN_METHOD, held_out=HELD_OUT,
    ),
    Published(
        "all_negative_units", "Figure 7", 775, None, None, "FF", 2, None,
        "units of 784 whose incoming weights are all negative",
    ),
    Published(
        "negative_peak", "Figure 7", 0.75, None, None, "BPFF", 2, None,
        "fraction of negative weights at which the units' distribution peaks",
    ),
    Published(
        "negative_peak_share", "Figure 7", 0.375, None, None, "BPFF", 2, None,
        "share of the units in that peak (three in eight)",
    ),
    Published(
        "all_negative_units", "Figure 7", 100, None, None, "BP", 2, None,
        "about so many units of 784",
    ),
    Published(
        "regression_slope", "Figure 8B", 0.98, None, None, None, None, None,
        "sizes by Method 1 (quantile 0.99) on sizes by Method 2 (epsilon 0.2)",
        quantile=REGRESSION_QUANTILE,
    ),
    Published(
        "regression_intercept", "Figure 8B", 9.95, None, None, None, None, None,
        "units; sizes by Method 1 (quantile 0.99) on sizes by Method 2 (epsilon 0.2)",
        quantile=REGRESSION_QUANTILE,
    ),
)  # fmt: skip

PUBLISHED: tuple[Published, ...] = (*_tables(), *_SINGLE)
"""Every number of 2023: 6 cells of Table 1, 18 each of Tables 2 and 3, and 10 single ones."""

NUMBERS: dict[str, tuple[Published, ...]] = {"2023": PUBLISHED, "2025": PUBLISHED_2025}
"""Every published number, by edition."""


def published(
    quantity: str,
    dataset: str | None = None,
    model: str | None = None,
    layer: int | None = None,
    protocol: str = PROTOCOL,
) -> Published | None:
    """Return the one published number of this description, or None if there is none.

    A protocol belongs to one edition. Of upper bounds there is no value, and None is returned.

    Examples
    --------
    >>> published("ensemble_size", "mnist", "FF", layer=2).value
    5.5
    >>> published("ensemble_size", "digits", "FF", layer=2) is None
    True
    >>> published("sparsity", "fashionmnist", "FF", layer=1, protocol="relu-l2").value
    0.829
    """
    wanted = (quantity, dataset, model, layer, protocol)
    for numbers in NUMBERS.values():
        for one in numbers:
            found = (one.quantity, one.dataset, one.model, one.layer, one.protocol)
            if found == wanted and not one.bound:
                return one
    return None


FRACTIONS = {"accuracy", "positive_weights", "sparsity", "negative_peak", "negative_peak_share"}
"""Quantities that are fractions of one."""

RELATIVE, ABSOLUTE = 0.2, 0.03
"""How far a value may lie off and still be called reproduced: in parts of the published value;
for fractions, as it is."""

_ABSOLUTE_2025 = {"accuracy": 0.02, "sparsity": 0.05}


def tolerance(quantity: str, value: float, edition: str = "2023") -> float:
    """Return the deviation from a published value up to which a value counts as reproduced.

    Examples
    --------
    >>> [round(tolerance(*of), 3) for of in (("ensemble_size", 5.5), ("positive_weights", 0.63))]
    [1.1, 0.03]
    >>> round(tolerance("sparsity", 0.829, "2025"), 3)
    0.05
    """
    absolute = _of_edition(edition).get(quantity, ABSOLUTE)
    allowed = absolute if quantity in FRACTIONS else RELATIVE * abs(value)
    return allowed * (1 + 1e-9)  # .93 - .90 is no more than .03, whatever floats make of it


def absolute_tolerances(edition: str) -> str:
    """Say how far fractions of one may lie off and still count as reproduced.

    Examples
    --------
    >>> absolute_tolerances("2023")
    'for fractions of one, within .03 of it'
    >>> absolute_tolerances("2025")
    'for fractions of one, within .03 of it, for accuracy .02, for sparsity .05'
    """
    others = [f"for {name} {_short(value)}" for name, value in _of_edition(edition).items()]
    return ", ".join([f"for fractions of one, within {_short(ABSOLUTE)} of it", *others])


def _of_edition(edition: str) -> dict[str, float]:
    return _ABSOLUTE_2025 if edition == "2025" else {}


def _short(value: float) -> str:
    return f"{value:.2f}".lstrip("0")


def reproduced(number: Published, value: float) -> bool:
    """Return whether a value lies within the tolerance of the published one, or of its range."""
    allowed = tolerance(number.quantity, number.value, number.edition)
    low = -math.inf if number.bound else number.value if number.low is None else number.low
    high = number.value if number.high is None else number.high
    return bool(low - allowed <= value <= high + allowed)
