"""Every published number beside ours, what is said of it, and all of it on one page.

Frames in, text out: nothing here trains, reads or writes a file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ffensembles.analyses.statistics import CONFIDENCE, PERMUTATIONS
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.claims import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Frames,
    select,
)
from ffensembles.publication.comparison import DIFFERENT, DIRECTION, REPRODUCED
from ffensembles.publication.editions import PUBLICATIONS
from ffensembles.publication.learning_rate import in_words
from ffensembles.publication.measures import sample_text
from ffensembles.publication.numbers import RELATIVE, UNSEEN_LAYER, absolute_tolerances
from ffensembles.publication.sweep import as_text
from ffensembles.publication.tables import FLOOR_TOLERANCE, NOTHING, ON_FLOOR
from ffensembles.publication.tried import NUMBER_KEYS, at_scale, by_images
from ffensembles.publication.values import text


def page(
    comparison: pd.DataFrame,
    claims: pd.DataFrame,
    about: Mapping[str, Any],
    titles: Mapping[str, str] | None = None,
    edition: str = "2023",
    sweeps: Sequence[pd.DataFrame] = (),
    trials: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
    figure: tuple[str, str] | None = None,
) -> str:
    """Write the page that says what was reproduced, in Markdown.

    Parameters
    ----------
    comparison
        Rows of `comparison.compare`.
    claims
        Rows of `claims.claims`.
    about
        What was run: each entry a line of a list; `title` is the page's.
    titles
        Titles of data sets; their keys where it has none.
    edition
        The edition that results are compared with.
    sweeps
        Sweeps of open settings, as in `comparison.compare`: listed apart.
    trials
        Rows of `tried.tried`: what was tried is said of each number that differs.
    scores
        Rows of `tried.scored`: of each setting it is said how many numbers are reproduced.
    figure
        Where the page finds the image of distances to the publication, and its caption.
    """
    titles = titles or {}
    facts = "\n".join(f"- {key}: {value}" for key, value in about.items() if key != "title")
    sources = list(dict.fromkeys(comparison["source"]))
    parts = [
        f"# {about.get('title', 'Reproduction')}",
        "Every published number that could be found, beside that of the runs below; and the "
        "publication's claims, tested on these runs. The end of the page says what verdicts mean.",
        facts,
        "## Summary",
        _summary(comparison, claims),
        *_control(claims, titles, edition),
        "## Claims",
        _table(_CLAIM_COLUMNS, [_claim_line(row, titles) for row in claims.to_dict("records")]),
        "## Numbers",
        *(
            part
            for source in sources
            for part in (
                f"### {source}",
                _table(
                    _NUMBER_COLUMNS,
                    [
                        _number_line(row, titles)
                        for row in comparison[comparison["source"] == source].to_dict("records")
                    ],
                ),
            )
        ),
        *_tried(comparison, trials, scores, titles, figure),
        *_varied(sweeps, edition, titles),
        "## What the words mean",
        _legend(int(claims["p"].notna().sum()), edition),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _control(claims: pd.DataFrame, titles: Mapping[str, str], edition: str) -> list[str]:
    """Return the section on the learning rate, where an edition has such claims."""
    said = in_words(claims, titles)
    if not said:
        return []
    return ["## Is it the learning rate?", _QUESTION[edition], said]


def _varied(sweeps: Sequence[pd.DataFrame], edition: str, titles: Mapping[str, str]) -> list[str]:
    """Return the section that lists the runs of sweeps, none of which reports a number."""
    lines = []
    for sweep in by_images(sweeps):
        rows = sweep[sweep["protocol"] == PUBLICATIONS[edition].protocol]
        rows = as_text(rows.dropna(subset="dataset"))
        for setting, of in rows[rows["setting"] != ""].groupby("setting", sort=False):
            lines.append(
                [
                    f"`{setting}`",
                    ", ".join(dict.fromkeys(of["value"])),
                    ", ".join(
                        MODEL_TITLES[name] for name in MODEL_TITLES if name in set(of["model"])
                    ),
                    ", ".join(titles.get(name, name) for name in dict.fromkeys(of["dataset"])),
                    f"{of['n_train'].max():,}",
                    ", ".join(map(str, sorted(set(of["seed"])))),
                ]
            )
    return (
        ["## Runs that varied a setting", _VARIED, _table(_VARIED_COLUMNS, lines)] if lines else []
    )


def _tried(
    comparison: pd.DataFrame,
    trials: pd.DataFrame | None,
    scores: pd.DataFrame | None,
    titles: Mapping[str, str],
    figure: tuple[str, str] | None,
) -> list[str]:
    """Return the section that says of each number that differs what every setting does to it."""
    if trials is None or trials.empty:
        return []
    known = {
        tuple(map(_known, rows[list(NUMBER_KEYS)].iloc[0])): rows
        for _, rows in trials.groupby(list(NUMBER_KEYS), dropna=False)
    }
    lines = []
    for row in comparison.to_dict("records"):
        keys = tuple(_known(row[key]) for key in NUMBER_KEYS)
        if row["verdict"] in (DIRECTION, DIFFERENT) and keys in known:
            number = _number_line(row, titles)[:_OF_NUMBER]
            lines.append([*number, _trial_text(row["quantity"], known[keys])])
    if not lines:
        return []
    shown = [] if figure is None else [f"![Distances of runs]({figure[0]})", figure[1]]
    settings = [] if scores is None else _by_setting(at_scale(scores), titles)
    return ["## What was tried", *shown, *settings, _TRIED, _table(_TRIED_COLUMNS, lines)]


def _by_setting(runs: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    """Return a table of how many numbers runs with each setting reproduce."""
    known = dict.fromkeys([*titles, *runs["dataset"]])
    datasets = [name for name in known if (runs["dataset"] == name).any()]
    lines = []
    order = {name: place for place, name in enumerate(MODEL_TITLES)}
    runs = runs.assign(place=runs["model"].map(order))
    for (_, _, model), of in runs.groupby(["place", "row", "model"]):
        cells = []
        for dataset in datasets:
            on = of[of["dataset"] == dataset]
            within = f"{on['within'].mean():.2g} of {on['numbers'].max():.0f} ({len(on)})"
            cells.append(within if len(on) else NOTHING)
        lines.append([MODEL_TITLES[str(model)], of["name"].iloc[0], *cells])
    columns = ("Model", "Setting", *(titles.get(name, name) for name in datasets))
    return [_BY_SETTING, _table(columns, lines)] if lines else []


def _trial_text(quantity: str, rows: pd.DataFrame) -> str:
    """Write what settings do to a number, those of as many images together."""
    said = []
    for _, group in rows.groupby(["n_train", "around"], sort=False, dropna=False):
        n_train, around = group[["n_train", "around"]].iloc[0]
        images = "" if pd.isna(n_train) else f"{n_train:,} images"
        values = [
            f"{f'{setting}={value}: ' if setting else ''}{text(quantity, ours)} ({n})"
            for setting, value, ours, n in zip(
                group["setting"], group["value"], group["ours"], group["n_runs"], strict=True
            )
        ]
        head = ", ".join(filter(None, [images, around]))
        said.append(f"{f'**{head}**: ' if head else ''}{', '.join(values)}")
    return "; ".join(said)


def about(
    frames: Frames,
    configuration: Mapping[str, Any],
    titles: Mapping[str, str] | None = None,
    edition: str = "2023",
) -> dict[str, str]:
    """Say what was run on what, for `page`.

    Parameters
    ----------
    frames
        Tidy frames by name; of them `accuracy` and, if it is there, `costs`.
    configuration
        The configuration that the runs were made with.
    titles
        How data sets are called; their keys where it says nothing.
    """
    titles, protocol = titles or {}, PUBLICATIONS[edition].protocol
    runs = select(frames, "accuracy", protocol, layer=0)
    apart = select(frames, "accuracy", protocol, held_out=True, layer=0)
    if runs.empty:
        return {"title": f"Does edition {edition} reproduce?", "Runs": "none"}
    recipe = configuration["recipes"][protocol]
    said = {
        "title": f"Does edition {edition} reproduce?",
        "Runs": "; ".join(
            f"{MODEL_TITLES[str(model)]} on {titles.get(str(dataset), dataset)}: {len(rows)}"
            for (model, dataset), rows in runs.groupby(["model", "dataset"], sort=False)
        )
        + (f"; without one class: {len(apart)}" if len(apart) else ""),
        "Training images": ", ".join(f"{n:,}" for n in sorted(set(runs["n_train"]))),
        "Epochs": ", ".join(
            f"{MODEL_TITLES[model]} {_epochs(recipe[model]['epochs'], model, edition)}"
            for model in MODEL_TITLES
        )
        + "".join(
            f"; {MODEL_TITLES[model]} on {titles.get(dataset, dataset)} {over[model]['epochs']}"
            for dataset, over in recipe["per_dataset"].items()
            for model in MODEL_TITLES
            if dataset in set(runs["dataset"]) and "epochs" in over.get(model, {})
        ),
    }
    few = _missing(pd.concat([runs, apart]), titles)
    if few:
        said["Runs missing"] = (
            f"{few}, for {RUNS_WANTED} of each. Seeds that are added to `own_seeds` and `held_out` "
            f"of the study `{configuration.get('name', '')}` are trained by the command that made "
            "these results, and nothing else is"
        )
    costs = frames.get("costs")
    if costs is not None and len(costs):
        trained = costs[(costs["rule"] == "train") & (costs["protocol"] == protocol)]
        devices = " and ".join(dict.fromkeys(trained["device"]))
        if not len(trained):
            return said
        said["Trained on"] = f"{devices}; {trained['seconds'].sum() / 3600:.2g} hours in all"
    return said


def _epochs(epochs: int, model: str, edition: str) -> str:
    """Write a number of epochs, and the published one where that is another."""
    named = PUBLICATIONS[edition].epochs.get(model, epochs)
    return f"{epochs}" if epochs == named else f"{epochs} (the text names {named})"


def _missing(runs: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Say how many runs each model lacks, on each data set and without each class."""
    said = []
    keys = ["model", "dataset", "held_out"]
    for _, rows in runs.groupby(keys, sort=False, dropna=False):
        model, dataset, left_out = rows[keys].iloc[0]
        if len(rows) < RUNS_WANTED:
            apart = "" if pd.isna(left_out) else f" without class {left_out:.0f}"
            name = f"{MODEL_TITLES[model]} on {titles.get(dataset, dataset)}{apart}"
            said.append(f"{name}: {RUNS_WANTED - len(rows)}")
    return "; ".join(said)


# ---- the page

RUNS_WANTED = 5
"""Runs of each model and data set below which a page says how many are missing."""

_QUANTITIES = {
    "accuracy": "accuracy",
    "ensemble_size": "size (units)",
    "positive_weights": "positive weights",
    "shared_units": "units shared by the two example classes",
    "unseen_size": "units active for the class left out",
    "unseen_activity": "their activity",
    "seen_activity": "activity of the other classes' units",
    "all_negative_units": "units with negative weights only",
    "negative_peak": "negative weights at the units' peak",
    "negative_peak_share": "share of units in that peak",
    "regression_slope": "slope of Method 1 on Method 2",
    "regression_intercept": "intercept (units)",
}

AS_UNTRAINED = "‡"
"""Marks a claim that holds, but of untrained nets as well."""

_CLAIM_COLUMNS = (
    "Claim", "Data set", "Measured", "Value (95 % interval)", "p", "p (Holm)", "n", "Untrained",
    "Shuffled", "Verdict", "Note",
)  # fmt: skip

_NUMBER_COLUMNS = (
    "Number", "Data set", "Model", "Layer", "Published", "Ours (runs)", "Difference (SE)",
    "Verdict", "What comes nearer",
)  # fmt: skip
_OF_NUMBER = 6  # columns that name a number and give its values


_BY_SETTING = (
    "How many of a model's numbers in this figure a run reproduces, mean over as many runs as "
    "stand in brackets."
)

_TRIED = (
    "Of each number that differs: its mean in the runs that varied one setting, with the number of "
    "runs in brackets, by the number of training images. Bold text before a colon says how all "
    "runs of that group differ from the runs of this page; a value without a setting differs in "
    "that alone. Other ways to read ensembles that were tried are in docs/log/settings.md."
)
_TRIED_COLUMNS = (*_NUMBER_COLUMNS[:_OF_NUMBER], "Tried (runs)")

_VARIED = (
    "These runs chose settings that the study leaves open, and show what comes nearer where a "
    "number differs. No number above is measured on them. Each is compared with runs of the same "
    "seeds with every setting as it is."
)
_VARIED_COLUMNS = ("Setting", "Values", "Models", "Data sets", "Training images", "Seeds")

_OF_EDITION = {
    "2023": (
        "Settings that the study leaves open have defaults chosen for nearness to these same "
        "numbers. Method 2's box was picked among many for the regression of figure 8B over all "
        "ensembles. But its cut in rank ends many of BP's, which then stand on one line: so many "
        "units the cut lets in, whatever Method 1 finds. Slope, intercept and the methods' "
        "agreement are therefore of the ensembles that it does not end.",
        "The text does not name the two classes that figure 3A shows. Here they are Pullover and "
        "Coat, chosen among those of the four that it calls similar, which share most in our runs.",
    ),
    "2025": (
        "The published numbers are those of single runs in the authors' public notebooks, some "
        "with a setting that was inferred from the order of a listing. A difference of the size of "
        "the spread between our seeds says nothing.",
    ),
}
"""What else a reader of an edition's page has to know."""


_BRACKETS = "the verdicts here rest on what stands in brackets"
_HOLM = {
    "2025": "a claim holds only if this p is below .05 too, and is undecided if its condition is "
    "met and this p is not"
}
"""What an edition's verdicts do with the corrected p."""

_QUESTION = {
    "2025": "The study compares FF at a learning rate of 0.01 with BP at 0.0001. Here FF is "
    "compared with BP at FF's learning rate, and with runs of BP, of any learning rate, that are "
    "as accurate. The claims below have the tests; the figure `sparsity_accuracy` shows the runs.",
}
"""What the control of an edition is for."""


def _summary(comparison: pd.DataFrame, claims: pd.DataFrame) -> str:
    cells = comparison[comparison["source"].str.startswith("Table")]
    within = int(cells["within"].map(_true).sum())
    verdicts = (REPRODUCED, DIRECTION, DIFFERENT, NOT_RUN)
    tables = (
        f"- Tables 1 to 3: {within} of {len(cells)} cells lie within the tolerance; "
        + _counts(cells["verdict"], verdicts)
    )
    lines = [
        *([tables] if len(cells) else []),
        f"- All {len(comparison)} numbers: " + _counts(comparison["verdict"], verdicts),
        f"- {len(claims)} tests of claims: "
        + _counts(claims["verdict"], (HOLDS, FAILS, UNDECIDED, NOT_RUN)),
    ]
    if alike := sum(_as_untrained(row) for row in claims.to_dict("records")):
        lines.append(
            f"- {AS_UNTRAINED} Of the claims that hold, {alike} {'is' if alike == 1 else 'are'} at "
            "least as true of untrained nets."
        )
    return "\n".join(lines)


def _counts(verdicts: pd.Series, words: tuple[str, ...]) -> str:
    return ", ".join(f"{word} {int((verdicts == word).sum())}" for word in words) + "."


def _claim_line(row: Mapping, titles: Mapping[str, str]) -> list[str]:
    value = _rounded(row["value"])
    if not pd.isna(row["low"]):
        value += f" ({_rounded(row['low'])} to {_rounded(row['high'])})"
    return [
        row["statement"],
        "all" if pd.isna(row["dataset"]) else titles.get(row["dataset"], row["dataset"]),
        row["statistic"],
        value,
        _p(row["p"]),
        _p(row["p_holm"]),
        sample_text(row),
        _rounded(row["null_untrained"]),
        _rounded(row["null_shuffled"]),
        f"**{row['verdict']}**{f' {AS_UNTRAINED}' if _as_untrained(row) else ''}",
        "" if pd.isna(row["note"]) else row["note"],
    ]


def _as_untrained(claim: Mapping) -> bool:
    """Whether a claim holds that is as true of untrained nets."""
    return claim["verdict"] == HOLDS and _true(claim["as_untrained"])


def _number_line(row: Mapping, titles: Mapping[str, str]) -> list[str]:
    quantity, se = row["quantity"], row["difference_in_se"]
    ours = text(quantity, row["ours"], row["se"])
    if not pd.isna(row["n_runs"]):
        ours += f" ({row['n_runs']:.0f})"
    return [
        _QUANTITIES.get(quantity, quantity),
        NOTHING if pd.isna(row["dataset"]) else titles.get(row["dataset"], row["dataset"]),
        NOTHING if pd.isna(row["model"]) else MODEL_TITLES.get(row["model"], row["model"]),
        NOTHING if pd.isna(row["layer"]) else f"{row['layer']:.0f}",
        _published(row),
        ours + _mark(row["on_floor"]),
        NOTHING if pd.isna(se) else f"{se:+.1f}",
        row["verdict"],
        "" if pd.isna(row["cause"]) else row["cause"],
    ]


def _published(row: Mapping) -> str:
    """Write a published value, and what is known of the runs that it is of."""
    quantity, low, high = row["quantity"], row["published_low"], row["published_high"]
    value = text(quantity, row["published"], row["published_se"]) + _mark(row["published_on_floor"])
    if pd.isna(low) and not pd.isna(high):
        value = f"at most {value}"
    known = []
    if not pd.isna(low):
        ends = f"{text(quantity, low)} to {text(quantity, high)}"
        known.append(f"{ends} in {row['published_runs']:.0f} runs")
    if row["known"] == "inferred":
        known.append("setting inferred")
    return f"{value} ({'; '.join(known)})" if known else value


def _legend(tests: int, edition: str) -> str:
    relative = f"{RELATIVE:.0%}".replace("%", " %")
    lines = [
        f"**{REPRODUCED}**: our mean lies within {relative} of the published value; "
        f"{absolute_tolerances(edition)}. Where single runs are published, it lies no farther from "
        "their range; where a bound is, no farther above it.",
        f"**{DIRECTION}**: it does not, yet lies on the same side as the published value. The side "
        f"is that of Method 1's floor for counts of active units (below, above, or within "
        f"{FLOOR_TOLERANCE:.0%} of it, which is a side of its own); of one half for fractions of "
        "weights or units, and of half of the layer's units for counts of units by their weights; "
        "of 0 for the regression. For accuracies and sparsities it is the order of the model among "
        "the others on that data set, for activities that of the unseen and the seen classes. It "
        "says little of how near the two are.".replace("5%", "5 %"),
        f"**{DIFFERENT}**: neither.",
        f"**{NOT_RUN}**: no run here gives this number.",
        f"{ON_FLOOR}: within 5 % of Method 1's floor, the units it finds where activations do not "
        "depend on the image: such a size says nothing of ensembles.",
        "Difference (SE): ours less the published value, over the root of the sum of both squared "
        f"standard errors; {NOTHING} unless both are known. Where it is below 2, seeds alone may "
        "make the difference.",
        "What comes nearer: among runs with one setting changed, this edition's control runs and, "
        "where none of these does, those of sweeps on fewer images, the largest first, the one "
        "whose mean comes nearest to the published value, if nearer than the base's runs of the "
        "same seeds and nearer than ours. It is the nearest of many, often of single runs: a hint, "
        "not a test; trials at full scale stand in docs/log/settings.md. For sizes also the "
        "quantile at which Method 1 finds the nearest ones in the same runs, where that is not the "
        "published .95; and for the unseen class, whose numbers "
        f"here are of layer {UNSEEN_LAYER} since the study does not say of which its own are, the "
        "layer in which the same runs come nearest, where that is another.",
        f"A claim **{HOLDS}** if its condition, in brackets, is met; it **{FAILS}** if it is not, "
        f"which does not show the opposite; it is **{UNDECIDED}** where the runs are too few, or "
        "too alike, for an interval or a test, or a model to compare with is missing; "
        f"**{NOT_RUN}** where nothing of it was run. "
        f"Intervals are of {CONFIDENCE:.0%} over runs".replace("95%", "95 %")
        + " (Welch's on log sizes for ratios, Student's for means, Fisher's for r over pairs); "
        f"the Mantel test permutes classes {PERMUTATIONS:,} times. p (Holm) is corrected for all "
        f"{tests} tests of this table that have a p; {_HOLM.get(edition, _BRACKETS)}.",
        "Untrained: the same statistic on untrained nets. Shuffled: on the same activations "
        "with labels permuted over the correctly classified images. Neither enters a verdict, but "
        f"{AS_UNTRAINED} marks a claim that holds of which untrained nets have the statistic at "
        "least as much: that it holds says nothing of training.",
        *_OF_EDITION.get(edition, ()),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _table(columns: tuple[str, ...], lines: list[list[str]]) -> str:
    whole = [list(columns), ["---"] * len(columns), *lines]
    cells = ([str(cell).replace("|", "\\|") for cell in line] for line in whole)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _rounded(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value:.3g}" if abs(value) < 1e6 else f"{value:.1e}"


def _p(value: float) -> str:
    return NOTHING if pd.isna(value) else "< .001" if value < 0.001 else f"{value:.3f}"


def _mark(flag: Any) -> str:
    return f" {ON_FLOOR}" if _true(flag) else ""


def _known(key: Any) -> Any:
    return None if pd.isna(key) else key


def _true(flag: Any) -> bool:
    return not pd.isna(flag) and bool(flag)
