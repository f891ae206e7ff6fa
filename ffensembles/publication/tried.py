"""What settings that were varied do to each published number: in control runs and in sweeps."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.models.recipe import of_model
from ffensembles.models.spec import MODELS
from ffensembles.publication.claims import Frames
from ffensembles.publication.numbers import NUMBERS, reproduced, tolerance
from ffensembles.publication.published import Published
from ffensembles.publication.sweep import FARTHEST, as_text
from ffensembles.publication.values import our_value, text
from ffensembles.runs import variation_name, variation_of
from ffensembles.runtime.keys import leaves
from ffensembles.runtime.text import plural

NOT_SWEPT = "not swept"
NO_NEARER = "no setting that was varied brings it nearer"

NUMBER_KEYS = ("protocol", "quantity", "source", "dataset", "model", "layer")
"""What tells a published number from others of its edition."""

_SETTING = ["around", "setting", "value"]

_RUN = ["n_train", *_SETTING, "control", "dataset", "model", "seed"]

COMPARED = "the runs of this page"
"""Name of the setting of the runs compared, in `at_scale`."""

ALIKE = "other runs of the same settings"
"""Name of the setting of a sweep's runs that differ in nothing from the runs compared."""

LEAST_PART = 3
"""Settings tried on less than this part of the most training images are not at scale."""

_OF_CONTROL: Mapping[str, str] = {
    "accuracy": "accuracy",
    "ensemble_size": "sizes",
    "positive_weights": "positive_weights",
    "sparsity": "sparsity",
}
"""The frame of each quantity that control runs have too."""


def by_images(sweeps: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return sweeps in which anything was run, those on more training images first."""
    run = [sweep for sweep in sweeps if len(sweep)]
    return sorted(run, key=lambda sweep: -int(sweep["n_train"].max()))


def placed(
    sweep: pd.DataFrame, own: Mapping[str, Any], compared: Mapping[str, Any]
) -> pd.DataFrame:
    """Say of a sweep's rows in what their protocol differs from that of the results compared.

    Parameters
    ----------
    sweep
        A sweep's frame, as for `compare`.
    own, compared
        The configurations of the sweep and of the results, with their `recipes`.

    Returns
    -------
    pandas.DataFrame
        The sweep with a column `around`: `key=value` of each key of the recipe that concerns the
        row's model and has another value than in the results, but for the one that the row's
        setting varies; empty where there is none. A key that a configuration of an earlier day
        lacks has its default.
    """

    def around(protocol: str, model: Any, setting: str) -> str:
        group = setting.partition(".")[0]
        trained = group if group in MODELS else model  # a setting may make it another model
        ones = {
            key.replace(f"{trained}.", f"{model}.", 1): value
            for key, value in _concerning(own["recipes"][protocol], trained).items()
        }
        others = _concerning(compared["recipes"][protocol], model)
        said = []
        for key in {**ones, **others}:
            value = ones.get(key, _default(key, others.get(key)))
            varied = key in (setting, setting.removeprefix(f"{model}."))
            if not varied and value != others.get(key, _default(key, value)):
                said.append(f"{key}={value}")
        return ", ".join(said)

    of_rows = list(zip(sweep["protocol"], sweep["model"], as_text(sweep)["setting"], strict=True))
    known = {keys: around(*keys) for keys in set(of_rows)}
    return sweep.assign(around=[known[keys] for keys in of_rows])


def tried(
    frames: Frames, sweeps: Sequence[pd.DataFrame] = (), edition: str = "2023"
) -> pd.DataFrame:
    """List what every setting that was varied does to each number of an edition.

    Parameters
    ----------
    frames, sweeps, edition
        As for `compare`.

    Returns
    -------
    pandas.DataFrame
        One row for each number, setting and value, those of control runs first, then those of
        sweeps on more training images: `NUMBER_KEYS`, `n_train` (missing for control runs),
        `around`, as in `placed`, `setting` and `value` (empty for runs that differ in `around`
        alone), `n_runs`, and `ours`, their mean.
    """
    lines = []
    for number in NUMBERS[edition]:
        keys = {name: getattr(number, name) for name in NUMBER_KEYS}
        for rows, n_train in _trials(number, frames, by_images(sweeps)):
            for what, group in rows.groupby(_SETTING, sort=False):
                varied = dict(zip(_SETTING, what, strict=True))
                if varied["setting"] or n_train:
                    n, mean = group["seed"].nunique(), group["ours"].mean()
                    lines.append({**keys, "n_train": n_train, **varied, "n_runs": n, "ours": mean})
    columns = [*NUMBER_KEYS, "n_train", *_SETTING, "n_runs", "ours"]
    whole = dict.fromkeys(("layer", "n_train", "n_runs"), "Int64")
    return pd.DataFrame(lines, columns=columns).astype(whole)


def scored(
    frames: Frames, sweeps: Sequence[pd.DataFrame] = (), edition: str = "2023"
) -> pd.DataFrame:
    """Say how far every run lies from the publication: those compared, control runs and sweeps.

    Parameters
    ----------
    frames, sweeps, edition
        As for `compare`.

    Returns
    -------
    pandas.DataFrame
        One row for each run: `n_train`, `around`, as in `placed`, `setting` and `value` (empty for
        runs that differ in `around` alone; the runs compared have neither, and runs of a sweep that
        differ in nothing have `ALIKE` there), `control` (whether it is a control run), `dataset`,
        `model`, `seed`, `distance`, `within` and `numbers`. The distance
        is the mean over the published numbers of the run's model and data set (`_OF_CONTROL`), in
        tolerances, each counting for `FARTHEST` at most; a missing one, every class being lost,
        counts for as much. `within` is how many of these `numbers` are reproduced in this run.
        Runs compared come first, then control runs, then sweeps.
    """
    accuracy = frames.get("accuracy")
    images = None if accuracy is None else accuracy["n_train"].max()
    numbers = [
        number
        for number in NUMBERS[edition]
        if number.quantity in _OF_CONTROL and not number.bound and "--" not in number.protocol
    ]
    parts = []
    for place, number in enumerate(numbers):
        own = _by_seed(frames, _OF_CONTROL[number.quantity], number)
        own = own.assign(**dict.fromkeys(_SETTING, ""))
        (control, _), *swept = _trials(number, frames, by_images(sweeps))
        varied = control[control["setting"] != ""]  # without what they are set against
        allowed = tolerance(number.quantity, number.value, edition)
        at = {"dataset": number.dataset, "model": number.model}
        apart = [(_apart(rows, n_train == images), n_train) for rows, n_train in swept]
        for measured, n_train in [(own, None), (varied, None), *apart]:
            ours = measured["ours"].to_numpy(float)
            off = (np.abs(ours - number.value) / allowed).clip(max=FARTHEST)
            runs = measured.assign(**at, n_train=n_train or images, control=measured is varied)
            within = [reproduced(number, value) for value in ours]
            parts.append(runs.assign(number=place, distance=off, within=within))
    # a run that two sweeps have is one run
    rows = pd.concat(parts, ignore_index=True).drop_duplicates([*_RUN, "number"])
    grouped = rows.groupby(_RUN, sort=False, dropna=False)
    runs = grouped.agg(
        distance=("distance", "sum"), known=("distance", "count"), within=("within", "sum")
    ).reset_index()
    counts = Counter((number.dataset, number.model) for number in numbers)
    published = np.array([counts[of] for of in zip(runs["dataset"], runs["model"], strict=True)])
    distance = (runs["distance"] + FARTHEST * (published - runs.pop("known"))) / published
    return runs.assign(distance=distance, numbers=published)


def _apart(rows: pd.DataFrame, as_many_images: bool) -> pd.DataFrame:
    """Name a sweep's runs that are as those compared, which chose settings and do not report."""
    alike = (rows["around"] == "") & (rows["setting"] == "") & as_many_images
    return rows.assign(around=rows["around"].mask(alike, ALIKE))


def at_scale(scores: pd.DataFrame) -> pd.DataFrame:
    """Name the settings of runs on enough images to say something of the study's.

    Parameters
    ----------
    scores
        Rows of `scored`.

    Returns
    -------
    pandas.DataFrame
        The runs on a third of the most images at least, with `name`, in what they differ from the
        runs compared; `row`, the name's place among all, those compared first; and `kind`, alike
        for runs that differ in the setting alone that was varied.
    """
    runs = scores.dropna(subset="n_train")
    runs = runs[LEAST_PART * runs["n_train"] >= runs["n_train"].max()]
    runs = runs.sort_values("n_train", ascending=False, kind="stable")
    of_setting = ["n_train", *_SETTING]
    keys = list(runs[of_setting].itertuples(index=False, name=None))
    # runs may be varied in one place and configured so in another: the former has the row
    alike: dict[frozenset[str], tuple[Any, ...]] = {}
    for key in sorted(keys, key=lambda key: not key[2]):
        alike.setdefault(_differences(key), key)
    keys = [alike[_differences(key)] for key in keys]
    kinds = list(dict.fromkeys(_kind(key) for key in keys))
    rows = sorted(
        dict.fromkeys(keys),
        key=lambda key: (kinds.index(_kind(key)), bool(key[2]), key[1] == ALIKE),
    )
    most = runs["n_train"].max()
    return runs.assign(
        row=[rows.index(key) for key in keys],
        kind=[kinds.index(_kind(key)) for key in keys],
        name=[_name(key, most) for key in keys],
    )


def _kind(key: tuple[Any, ...]) -> tuple[int, str]:
    """Return what runs have in common that differ in the varied setting alone."""
    return key[0], "" if key[1] == ALIKE else key[1]


def _differences(key: tuple[Any, ...]) -> frozenset[str]:
    """Return in what runs differ from those compared, in no order."""
    return frozenset([str(key[0]), *_name(key, key[0]).split(", ")])


def _name(key: tuple[Any, ...], most: int) -> str:
    n_train, around, setting, value = key
    images = "" if n_train == most else f"{n_train:,} images"
    varied = f"{setting}={value}" if setting else ""
    return ", ".join(filter(None, [images, around, varied])) or COMPARED


def _concerning(recipe: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Return the dotted keys of a recipe that concern a model; a shared key has its own value."""
    group = recipe.get(model, {})
    whole = of_model({**recipe, model: group}, model)
    shared = {key: whole[key] for key in recipe if key not in MODELS}
    own = {key: value for key, value in group.items() if key not in recipe}
    return dict(leaves({**shared, model: own}))


def _default(key: str, otherwise: Any) -> Any:
    """Return the default of a key of a recipe, or `otherwise` of a key that has none."""
    model, _, name = key.partition(".")
    fields = MODELS[model].parameters.model_fields if model in MODELS else {}
    known = name in fields and not fields[name].is_required()
    return fields[name].default if known else otherwise


def nearest_setting(
    number: Published, frames: Frames, sweeps: Sequence[pd.DataFrame], ours: float
) -> str:
    """Name the setting whose runs come nearest to the published value.

    They have to be nearer than the base's runs, and than `ours`, the value that is compared.
    Control runs come first, then each sweep: one is asked only where none before it brings the
    number nearer.
    """
    said = NOT_SWEPT
    for rows, n_train in _trials(number, frames, sweeps):
        if said not in (NOT_SWEPT, NO_NEARER):
            break
        images = f" of {n_train:,.0f} images" if n_train else ""
        found = _nearest(number, rows, abs(ours - number.value), images)
        said = said if found == NOT_SWEPT else found
    return said


def _trials(
    number: Published, frames: Frames, sweeps: Sequence[pd.DataFrame]
) -> Iterator[tuple[pd.DataFrame, int | None]]:
    """Yield a number's values in control runs and in each sweep, and how many images it has."""
    yield _controlled(number, frames).assign(around=""), None
    for sweep in sweeps:
        rows = _swept(number, sweep)
        yield rows if "around" in rows else rows.assign(around=""), int(sweep["n_train"].max())


def _nearest(number: Published, rows: pd.DataFrame, within: float, of_images: str = "") -> str:
    """Say which setting of a sweep comes nearest, against the base's runs of the same seeds.

    Settings that come no nearer than `within` do not count.
    """
    base = rows[rows["setting"] == ""]
    nearest, said = within, NO_NEARER
    compared = False
    for (setting, value), group in rows[rows["setting"] != ""].groupby(["setting", "value"]):
        beside = base[base["seed"].isin(group["seed"])]["ours"].mean()
        if np.isnan(beside):
            continue
        compared = True
        ours = group["ours"].mean()
        distance = abs(ours - number.value)
        if distance < min(nearest, abs(beside - number.value)):
            nearest = distance
            n, around = group["seed"].nunique(), group["around"].iloc[0]
            what = f"{of_images}, {around}" if around else of_images
            said = (
                f"{setting}={value} gives {text(number.quantity, ours)} "
                f"({plural(n, 'run')}{what}; base {text(number.quantity, beside)})"
            )
    return said if compared else NOT_SWEPT


def _swept(number: Published, sweep: pd.DataFrame) -> pd.DataFrame:
    """Return the sweep's rows of a published number, settings and values as text."""
    kept = (sweep["protocol"] == number.protocol) & (sweep["quantity"] == number.quantity)
    for key in ("dataset", "model", "layer"):
        wanted = getattr(number, key)
        kept &= (
            sweep[key].isna()
            if wanted is None
            else (sweep[key] == wanted).fillna(False).astype(bool)
        )
    rows = sweep[kept.astype(bool)].dropna(subset=["ours"])
    return as_text(rows)


def _controlled(number: Published, frames: Frames) -> pd.DataFrame:
    """Return the same of an edition's control runs, set against what they vary.

    That is the control's base where its runs are others than the study's, such as shorter ones.
    """
    name = _OF_CONTROL.get(number.quantity)
    control = None if name is None else frames.get(f"control_{name}")
    parts: list[pd.DataFrame] = []
    if name is not None and control is not None and "--" not in number.protocol:
        of = control[(control["dataset"] == number.dataset) & (control["model"] == number.model)]
        names = of.loc[of["protocol"].str.startswith(f"{number.protocol}--"), "protocol"].unique()
        base = variation_name(number.protocol, "base")
        own = [] if base in names or not len(names) else [number.protocol]
        for protocol in [*names, *own]:
            _, setting, value = variation_of(protocol)
            frame = f"control_{name}" if setting else name
            runs = _by_seed(frames, frame, replace(number, protocol=protocol))
            parts.append(runs.assign(setting="" if protocol == base else setting, value=value))
    columns = ["setting", "value", "seed", "ours"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _by_seed(frames: Frames, frame: str, number: Published) -> pd.DataFrame:
    """Return our value of a number in each run of a frame: columns `seed` and `ours`."""
    known = frames.get(frame)
    if known is None:
        return pd.DataFrame(columns=["seed", "ours"])
    runs = []
    for seed in known["seed"].unique():
        found = our_value({frame: known[known["seed"] == seed]}, number)
        if found is not None:
            runs.append((seed, found.mean))
    return pd.DataFrame(runs, columns=["seed", "ours"])
