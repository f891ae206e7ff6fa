"""Linear probes: how well a linear readout finds a class in representations of unlabelled images.

The question is whether a net tells a class apart that it was never trained on. Representations are
read without a lit label pixel (`representations.unlabelled`), since a lit one gives the answer.
Beside the unseen class stand the seen ones, beside the hidden layers the pixels themselves (layer
0), and beside each trained net the same net before training.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.tidy import whole_numbers

PIXELS = 0
"""The layer of the baseline: the images as the net reads them."""

PIXELS_NET = "pixels"
"""What the column `net` says of them, beside `trained` and `untrained`."""

FOLDS = 5

# of the ridge regression, over the number of images; the best is chosen in training
_PENALTIES = np.logspace(-4, 2, 7)


def probe(
    x: NDArray[np.floating], labels: NDArray[np.integer], folds: int = FOLDS, seed: int = 0
) -> NDArray[np.float64]:
    """Score every image for every class by linear probes that were not fitted on it.

    The probe of a class is ridge regression on its indicator, which for two classes is Fisher's
    discriminant with a penalty. The penalty is chosen among seven by leave-one-out within the
    training folds; units are standardised there too. Scores are shifted so that 0 lies midway
    between the mean leave-one-out scores of the class and of the rest, however rare the class.

    Parameters
    ----------
    x
        Representation, (images, units).
    labels
        Their classes, (images,).
    folds
        Of stratified cross-validation; each class needs as many images.
    seed
        Of the folds.

    Returns
    -------
    numpy.ndarray
        (images, classes), classes in ascending order: above 0 means the class.

    Raises
    ------
    ValueError
        If a class has fewer images than there are folds, or there is one class alone.

    Examples
    --------
    >>> labels = np.repeat([3, 8], 20)
    >>> x = np.column_stack([labels == 8, np.ones(40)]) + np.linspace(0, 0.1, 80).reshape(40, 2)
    >>> scores = probe(x, labels)
    >>> bool((scores[:20, 0] > 0).all() and (scores[20:, 0] < 0).all())
    True
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < folds:
        raise ValueError(
            f"labels: probes need two classes of at least {folds} images each; found "
            f"{dict(zip(classes.tolist(), counts.tolist(), strict=True))}."
        )
    x = np.asarray(x, dtype=np.float64)
    indicators = (labels[:, None] == classes).astype(float)
    scores = np.empty(indicators.shape)
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, labels):
        scale = StandardScaler().fit(x[train])
        fit = RidgeCV(_PENALTIES * len(train), scoring="r2", store_cv_results=True)
        fit.fit(scale.transform(x[train]), indicators[train])
        # scores of images that the probe was not fitted on: those it was fitted on lie further
        # from the threshold the more units there are
        own = fit.cv_results_[..., np.flatnonzero(fit.alphas == fit.alpha_)[0]]
        means = [
            (own * of).sum(axis=0) / of.sum(axis=0)
            for of in (indicators[train], 1 - indicators[train])
        ]
        scores[test] = fit.predict(scale.transform(x[test])) - np.mean(means, axis=0)
    return scores


def probe_frame(
    features: Mapping[int, NDArray[np.floating]],
    labels: NDArray[np.integer],
    held_out: int | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how well each class is found in each layer of a run, unseen beside seen classes.

    Parameters
    ----------
    features
        Representations (images, units) by number of the layer, of the same images; `PIXELS` for
        the images themselves.
    labels
        Classes of the images, (images,).
    held_out
        Label of the class that the net was trained without; None if there is none.
    folds, seed
        Of cross-validation.

    Returns
    -------
    pandas.DataFrame
        One row per layer and class: `layer`, `category`, `unseen`, `balanced_accuracy` (mean of
        the shares of the class and of the rest that are told right) and `auc` (of the scores),
        both 1/2 for a guess, `null_balanced_accuracy` and `null_auc` (the same with labels
        shuffled over the images), `n_positive`, `n_presentations` and `folds`.

    Raises
    ------
    ValueError
        As `probe`, or if a layer has another number of images than there are labels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1, 2], 30)
    >>> x = rng.normal(size=(90, 5)) + 9 * np.eye(5)[labels]
    >>> frame = probe_frame({0: rng.normal(size=(90, 5)), 1: x}, labels, held_out=2)
    >>> frame[frame.unseen][["layer", "category", "auc"]].round(1).values.tolist()[1]
    [1, 2, 1.0]
    """
    from sklearn.metrics import roc_auc_score

    labels = np.asarray(labels)
    shuffled = np.random.default_rng(seed).permutation(labels)
    rows = []
    for layer, x in sorted(features.items()):
        if len(x) != len(labels):
            raise ValueError(
                f"layer {layer}: found {len(x)} images, there are {len(labels)} labels."
            )
        scores = {"": (probe(x, labels, folds, seed), labels)}
        scores["null_"] = probe(x, shuffled, folds, seed), shuffled
        for i, category in enumerate(np.unique(labels).tolist()):
            row = {"layer": layer, "category": category, "unseen": category == held_out}
            for prefix, (found, truth) in scores.items():
                own, told = truth == category, found[:, i] > 0
                right = [(told[own]).mean(), (~told[~own]).mean()]
                row[f"{prefix}balanced_accuracy"] = float(np.mean(right))
                row[f"{prefix}auc"] = float(roc_auc_score(own, found[:, i]))
            counts = {"n_positive": int((labels == category).sum()), "n_presentations": len(labels)}
            rows.append({**row, **counts, "folds": folds})
    frame = pd.DataFrame(rows)
    order = [
        "layer", "category", "unseen", "balanced_accuracy", "auc", "null_balanced_accuracy",
        "null_auc", "n_positive", "n_presentations", "folds",
    ]  # fmt: skip
    return whole_numbers(frame[order])


@run_frame("probes", of="held_out", on_demand=True)
def _probes(results: RunResults) -> pd.DataFrame:
    """Probe the pixels, the trained net and the untrained one, in the column `net`."""
    held_out = results.run["held_out"]
    frames = []
    for net, layers in results.unlabelled.items():
        frame = probe_frame(layers, results.labels, held_out, seed=int(results.run["seed"]))
        frame.insert(0, "net", net)
        frame["net"] = frame["net"].where(frame["layer"] != PIXELS, PIXELS_NET)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
