"""Numbers of the later edition, 2024/25: accuracy and Hoyer sparsity of the authors' own runs.

They are of the protocol `relu-l2` and come from plots and outputs of the authors' public notebooks,
which list single runs. Sparsity is the mean over correctly classified test images; silent images
are left out there without a count. The edition's tables are not available. Ensembles are found by
LOO, with k = 1 where they and shared units are counted and k = 2 in plots of mean activations;
figure 4 leaves out FashionMNIST's class 5, Sandal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from ffensembles.publication.published import Known, Published

EDITION, PROTOCOL_2025 = "2025", "relu-l2"
METHOD = "loo"
CONTROL = "BP.learning_rate-0.01"
"""The variation of the protocol in which BP learns at FF's rate."""

_SOURCE = "Public notebooks"

Values = tuple[float, ...]


@dataclass(frozen=True)
class _Trained:
    """Single runs of one setting: the values of each, or the two ends of their range."""

    dataset: str
    model: str
    setting: str
    known: Known
    runs: int
    accuracy: Values
    sparsity: tuple[Values, ...] = ()
    control: str = ""
    bound: bool = False


_TRAINED = (
    _Trained(
        "mnist", "FF", "learning rate 1e-2, 1200 epochs a layer", "inferred", 2,
        (0.9513, 0.9509), ((0.899, 0.901), (0.366, 0.385), (0.162, 0.593)),
    ),
    _Trained(
        "mnist", "BPFF", "learning rate 1e-4, 300 epochs", "inferred", 2, (0.970,), bound=True
    ),
    _Trained(
        "mnist", "BP", "learning rate 1e-4, 80 epochs", "fitted", 2,
        (0.9806, 0.9808), ((0.311, 0.313), (0.199, 0.188), (0.233, 0.227)),
    ),
    _Trained(
        "fashionmnist", "FF", "learning rate 1e-2, 100 epochs a layer", "printed", 1,
        (0.8317,), ((0.829,), (0.580,), (0.767,)),
    ),
    _Trained(
        "fashionmnist", "BPFF", "learning rate 1e-4, 300 epochs", "inferred", 1,
        (0.8758,), ((0.800,), (0.851,), (0.025,)),
    ),
    _Trained(
        "fashionmnist", "BP", "learning rate 1e-4, 80 epochs", "fitted", 1,
        (0.8963,), ((0.347,), (0.238,), (0.246,)),
    ),
    _Trained(
        "svhn", "FF", "learning rate 1e-4, 1000 epochs a layer, batch 2048", "fitted", 1,
        (0.616,), ((0.802,), (0.515,), (0.454,)),
    ),
    _Trained(
        "svhn", "BPFF", "learning rate 1e-4, 200 epochs, batch 2048", "fitted", 1,
        (0.814,), ((0.574,), (0.837,), (0.437,)),
    ),
    _Trained(
        "svhn", "BP", "learning rate 1e-4, 80 epochs", "fitted", 1,
        (0.857,), ((0.479,), (0.687,), (0.452,)),
    ),
    _Trained(
        "mnist", "BP", "FF's learning rate, 1e-2, 10 to 100 epochs; ends of the range", "fitted", 6,
        (0.944, 0.967), ((0.95, 0.97), (0.84, 0.89), (0.78, 0.91)), CONTROL,
    ),
)  # fmt: skip


def _numbers() -> Iterator[Published]:
    for one in _TRAINED:
        quantities: list[tuple[str, int | None, Values]] = [("accuracy", None, one.accuracy)]
        quantities += [("sparsity", k, values) for k, values in enumerate(one.sparsity, 1)]
        for quantity, layer, values in quantities:
            several = len(values) > 1
            yield Published(
                quantity, _SOURCE, round(fmean(values), 6), None, one.dataset, one.model, layer,
                one.runs, f"at most; {one.setting}" if one.bound else one.setting,
                edition=EDITION,
                protocol=f"{PROTOCOL_2025}--{one.control}" if one.control else PROTOCOL_2025,
                known=one.known,
                low=min(values) if several else None,
                high=max(values) if several or one.bound else None,
            )  # fmt: skip


PUBLISHED_2025: tuple[Published, ...] = tuple(_numbers())
"""Ten accuracies (one a bound), and the sparsity of nine settings in three layers."""
