"""Frames of a few runs, as published numbers are measured on them."""

import numpy as np
import pandas as pd

from ffensembles.analyses.tidy import whole_numbers
from ffensembles.publication.numbers import PROTOCOL


def run(seed: int = 0, **changes: object) -> dict[str, object]:
    plain = {"protocol": PROTOCOL, "dataset": "mnist", "model": "FF", "held_out": None}
    return {**plain, "seed": seed, **changes}


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    return whole_numbers(pd.DataFrame(rows))


def accuracy_of(by_model: dict[str, list[float]], dataset: str = "mnist") -> pd.DataFrame:
    return frame(
        [
            {**run(seed, model=model, dataset=dataset), "layer": layer, "accuracy": value}
            for model, values in by_model.items()
            for seed, value in enumerate(values)
            for layer, value in ((0, value), (1, 0.1))
        ]
    )


def sizes_of(layer: int, *sizes: float, quantile: float = 0.95, **changes: object) -> pd.DataFrame:
    return frame(
        [
            {
                **run(seed, **changes), "layer": layer, "category": 0, "method": "method1",
                "quantile": quantile, "size": size, "floor": 784 * (1 - quantile),
                "units": 784, "lost": False,
            }
            for seed, size in enumerate(sizes)
        ]
    )  # fmt: skip


def number(comparison: pd.DataFrame, quantity: str, layer: int | None = None, **keys: object):
    rows = comparison[comparison.quantity == quantity]
    rows = rows if layer is None else rows[rows.layer == layer]
    for key, value in keys.items():
        rows = rows[rows[key] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def sweep_of(**settings: list[float]) -> pd.DataFrame:
    """Sizes of FF's second layer on MNIST by setting; `base` has none."""
    rows = []
    for name, values in settings.items():
        setting, _, value = ("", "", "") if name == "base" else name.partition("_")
        for seed, ours in enumerate(values):
            rows.append(
                {
                    "protocol": "sigmoid-linf", "n_train": 6000, "setting": setting, "value": value,
                    "dataset": "mnist", "model": "FF", "seed": seed, "layer": 2,
                    "quantity": "ensemble_size", "ours": ours, "published": 5.5,
                    "distance": abs(ours - 5.5),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def everything() -> dict[str, pd.DataFrame | None]:
    """Frames of which every single number can be made."""
    fashion = {"dataset": "fashionmnist"}
    pair = {"layer": 1, "method": "method1", "quantile": 0.9, "category": 2, "other": 4}
    unseen = [
        {
            **run(seed, held_out=held_out, **fashion), "layer": layer, "category": category,
            "method": "method2", "unseen": category == held_out, "size": size, "activity": activity,
        }
        for held_out in (0, 1)
        for layer in (1, 2)
        for seed in (0, 1)
        for category, size, activity in (
            (0, 1.0 if held_out == 0 else 9.0, 0.3 + 0.1 * seed), (1, 5.0, 0.4), (2, 5.0, 0.5)
        )
    ]  # fmt: skip
    weights = [
        {
            **run(seed, model=model, dataset=dataset), "layer": 2, "positive": 0.01,
            "units": 784, "all_negative": count + seed,
        }
        for model, dataset, count in (
            ("FF", "mnist", 700), ("BP", "mnist", 200), ("BP", "fashionmnist", 780)
        )
        for seed in (0, 1)
    ]  # fmt: skip
    by_unit = [
        {**run(seed, model="BPFF"), "layer": 2, "neuroid": unit, "negative": negative}
        for seed in (0, 1)
        # five of eight near the peak in the first run, six in the second
        for unit, negative in enumerate([0.75] * 4 + [0.71, 0.9, 0.1, 0.71 if seed else 0.2])
    ]
    sizes = [sizes_of(1, 2.0, quantile=q, **fashion) for q in (0.9, 0.95)]
    for method, quantile, slope in (("method1", 0.99, 2.0), ("method2", np.nan, 1.0)):
        sizes += [
            sizes_of(1, slope * category + (category == 3)).assign(
                method=method, quantile=quantile, category=category
            )
            for category in range(5)
        ]
    return {
        "sizes": whole_numbers(pd.concat(sizes, ignore_index=True)),
        "sharing": frame([{**run(s, **fashion), **pair, "count": 1.0 + s} for s in (0, 1)]),
        "unseen": frame(unseen),
        "positive_weights": frame(weights),
        "positive_weights_by_unit": frame(by_unit),
    }
