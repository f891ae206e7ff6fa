"""Figures draw the numbers of their frames, each in its place."""

import re
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
from extension_runs import KEYS
from matplotlib.colors import to_hex
from synthetic import LABELS, activations, keys, method2, shown
from test_causality import silence_rows
from test_dynamics import frame_of, readings_of
from test_plotting import drawn, study
from test_pruning import rows as pruned_rows
from test_sleep_wake import FRAME

from ffensembles.analyses.tidy import RUN_KEYS, with_keys
from ffensembles.analyses.unseen import unseen_frame
from ffensembles.plotting import KINDS
from ffensembles.plotting.captions import DatasetLabel, mean_and_error, number
from ffensembles.plotting.models import colour_of
from ffensembles.plotting.registry import Shown
from ffensembles.plotting.style import GREY
from ffensembles.publication.editions import as_published

LABEL = {"digits": DatasetLabel("Digits", tuple("0123456789"))}


def points_of(axes):
    """Return the points of a scatter plot, in order."""
    return sorted(tuple(at) for dots in axes.collections for at in dots.get_offsets())


def test_a_caption_averages_classes_before_runs():
    sizes = study()["sizes"].copy()
    sizes["size"] = sizes["category"].astype(float) + 10.0 * sizes["seed"].astype(float)
    caption = drawn("sizes", {"sizes": sizes})[1]
    assert "MNIST, layer 1: FF 6.5 ± 5, BP/FF 6.5 ± 5 and BP 6.5 ± 5." in caption


def test_sizes_by_both_methods_stand_on_their_axes():
    sizes = study()["sizes"].copy()
    sizes.loc[sizes.method == "method2", "size"] = 2.0
    sizes.loc[sizes.method == "method1", "size"] = 7.0
    axes = drawn("methods", {"sizes": sizes})[0].axes[1]
    assert set(points_of(axes)) == {(2.0, 7.0)}
    assert (axes.get_xlabel()[-8:], axes.get_ylabel()[-8:]) == ("Method 2", "Method 1")
    # panel A
    figure, caption = drawn("methods")
    stars, circles = (next(x for x in figure.axes[0].lines if x.get_marker() == m) for m in "*o")
    said = re.search(r"the (\d+) active units? by Method 1, circles the (\d+) by", caption)
    assert [len(stars.get_xdata()), len(circles.get_xdata())] == [*map(int, said.groups())]


def test_positive_data_are_solid_and_the_loss_is_the_last():
    history = study()["history"]
    figure, caption = drawn("learning_curves")
    lines = figure.axes[1].lines  # FF's goodness: made up above 1 for positive data alone
    assert {(line.get_linestyle(), min(line.get_ydata()) > 1) for line in lines} == {
        ("-", True),
        (":", False),
    }
    last = history[(history.dataset == "mnist") & (history.model == "FF") & (history.epoch == 30)]
    for layer, rows in last.groupby("layer"):
        assert f"{mean_and_error(rows.loss, 3, count=False)} in layer {layer}" in caption


def test_sparsity_shows_each_layer_in_its_panel():
    rows = study()["sparsity"]
    axes = drawn("sparsity")[0].axes
    for dataset, first in (("mnist", 0), ("fashionmnist", 4)):
        here = rows[rows.dataset == dataset]
        assert sorted(y for _, y in points_of(axes[first])) == pytest.approx(
            sorted(here[here.category.isna()].sparsity)
        )
        for layer in (1, 2, 3):
            wanted = here[(here.layer == layer) & here.category.notna()].sparsity.astype(float)
            assert sorted(y for _, y in points_of(axes[first + layer])) == pytest.approx(
                sorted(wanted)
            )


@pytest.mark.parametrize("sign", ["negative", "positive"])
def test_a_histogram_of_weights_is_the_mean_over_runs(sign):
    rows = study()["positive_weights_by_unit"]
    axes = drawn("weights", sign=sign)[0].axes[0]
    here = rows[(rows.model == "FF") & (rows.layer == 2) & (rows.dataset == "mnist")][sign]
    heights, edges = np.histogram(here.astype(float), 50, (0, 1))
    (steps,) = axes.collections
    x, y = steps.get_paths()[0].vertices.T
    assert y.max() == heights.max() / 2  # of two runs
    assert edges[heights.argmax()] in x[y == y.max()].round(10)


def test_a_maps_bands_have_the_names_of_their_classes():
    axes = drawn("activation_map")[0].axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list("0123")
    assert (np.diff(axes.get_yticks()) > 0).all()
    assert axes.yaxis_inverted()  # the first row of the image, of class 0, is on top


def test_rows_and_panels_of_classes_have_their_names_where_one_is_lost():
    of = KINDS["activity"].parameters()
    seen = shown("activity", of, study(), lost=(1,))
    axes = KINDS["activity"].draw(seen, of).axes
    assert [axes[3 * row].get_ylabel() for row in range(3)] == ["class 0", "class 2", "class 3"]
    found = seen.ensembles["method1"]["layer1"].to_dataset().sel(quantile=0.9)
    for c in (0, 2, 3):
        (part,) = (one for one in axes if one.get_title().startswith(f"class {c}:"))
        needles = {x: y for bars in part.collections for (x, _), (_, y) in bars.get_segments()}
        assert [needles[x] for x in range(50)] == pytest.approx(found["mean"].values[c])


def test_what_is_said_of_an_unseen_class_is_its_own():
    trees = [activations("fashionmnist", "FF", seed, held_out=2) for seed in (0, 1)]
    rows = pd.concat(
        [with_keys(unseen_frame(method2(t)), keys(t)) for t in trees], ignore_index=True
    )
    of = KINDS["unseen"].parameters(held_out=2)
    seen = shown("unseen", of, study() | {"unseen": rows}, held_out=2)
    figure, caption = KINDS["unseen"].draw(seen, of), KINDS["unseen"].caption(seen, of)
    rows = rows[(rows.layer == 1) & (rows.method == "method2")]
    own, others = ((rows.seed == 0) & (rows.unseen == u) for u in (True, False))
    assert (
        f"in this run: {number(rows[own].activity.mean())} for the unseen class, "
        f"{number(rows[others].activity.mean())} for the others." in caption
    )
    size, size_of_others = (
        re.escape(mean_and_error(rows[rows.unseen == u].groupby("seed")["size"].mean()))
        for u in (True, False)
    )
    of_runs = f"Over runs: {size} units .* for the unseen class, {size_of_others} units"
    assert re.search(of_runs, caption)
    found = seen.ensembles["method2"]["layer1"].to_dataset().isel(category=2)
    (part,) = (one for one in figure.axes[1:3] if one.get_ylabel() == "Mean activation (a.u.)")
    needles = {x: y for bars in part.collections for (x, _), (_, y) in bars.get_segments()}
    assert [needles[x] for x in range(50)] == pytest.approx(found["mean"].values)
    (diagram,) = (one for one in figure.axes if one.get_xlabel().startswith("Density"))
    places = sorted(at for dots in diagram.lines for at in zip(*dots.get_data(), strict=True))
    np.testing.assert_allclose(places, sorted(zip(found.rho.values, found.n_h.values, strict=True)))


def test_shared_units_over_runs_are_of_the_figures_method():
    sharing = study()["sharing"].copy()
    sharing["count"] = np.where(
        sharing.method == "method1", 3.0 + 2 * sharing.seed.astype(float), 70.0
    )
    caption = drawn("sharing", {"sharing": sharing}, categories=[2, 3])[1]
    assert "the two classes share 4 ± 1 (n = 2) units on average" in caption


def test_probes_of_the_unseen_class_are_in_panel_a():
    probes = study()["probes"].copy()
    probes["balanced_accuracy"] = np.where(probes.unseen, 0.9, 0.6)
    axes = drawn("probes", {"probes": probes})[0].axes
    assert [{y for _, y in points_of(one)} for one in axes] == [{0.9}, {0.6}] * 2


def _mean_of(rows, measure, one, other, same_seed=None):
    """Return the mean over pairs of runs of two layers, of one seed, of two, or (None) of all."""
    return np.mean(
        [
            getattr(row, measure)
            for row in rows.itertuples()
            if {(row.model, row.layer), (row.other_model, row.other_layer)} == {one, other}
            and (same_seed is None or (row.seed == row.other_seed) == same_seed)
        ]
    )


def test_similarities_stand_in_their_cells():
    frame, axes = study()["rsa"], drawn("rsa")[0].axes
    names = [f"{m} {k}" for m in ("FF", "BP/FF", "BP") for k in (1, 2, 3)]
    for part, (dataset, measure) in zip(
        axes, product(LABELS, ("spearman", "cka_debiased")), strict=True
    ):
        for labels in (part.get_xticklabels(), part.get_yticklabels()):
            assert [label.get_text() for label in labels] == names
        rows = frame[(frame.dataset == dataset) & (frame.of == "images")]
        image = part.images[0].get_array()
        mean = partial(_mean_of, rows, measure)
        assert image[0, 7] == image[7, 0] == pytest.approx(mean(("FF", 1), ("BP", 2)))
        within = mean(("BPFF", 1), ("BPFF", 3), same_seed=True)
        assert image[3, 5] == image[5, 3] == pytest.approx(within)
        between = mean(("BPFF", 2), ("BPFF", 2), same_seed=False)
        assert image[4, 4] == pytest.approx(between)
        texts = {text.get_position(): text.get_text() for text in part.texts}
        assert texts[7, 0] == f"{image[0, 7]:.2f}".replace("0.", ".").replace("-.00", ".00")


def test_control_runs_stand_at_their_accuracy_and_sparsity():
    frames = study()
    sparsity, net = frames["control_sparsity"], frames["control_accuracy"]
    figure, caption = drawn("control")
    for part, (dataset, layer) in zip(figure.axes, product(LABELS, (1, 2, 3)), strict=True):
        here = sparsity[
            (sparsity.dataset == dataset) & (sparsity.layer == layer) & sparsity.category.isna()
        ]
        both = here.merge(net[net.layer == 0].drop(columns="layer"), on=list(RUN_KEYS))
        wanted = {
            (colour_of(r.model), "--" not in r.protocol, r.accuracy, r.sparsity)
            for r in both.itertuples()
        }
        points = {
            (line.get_markeredgecolor(), line.get_markerfacecolor() != "none", x, y)
            for line in part.lines
            for x, y in zip(*line.get_data(), strict=True)
        }
        assert points == wanted
    of = net[(net.dataset == "mnist") & (net.model == "BP") & net.protocol.str.endswith("0.01")]
    mine = sparsity[
        (sparsity.dataset == "mnist")
        & (sparsity.model == "BP")
        & sparsity.protocol.str.endswith("0.01")
        & sparsity.category.isna()
    ]
    by_layer = ", ".join(number(v, 3) for v in mine.groupby("layer").sparsity.mean())
    assert f"BP lr 0.01: {number(of.accuracy.mean(), 3)}; {by_layer} (2 runs)" in caption


def test_curves_while_a_net_trains_by_hand():
    none, final = [[0, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 1, 1]]
    active = {1: {0: none, 4: final}, 2: {0: final, 4: final}}
    parts = [
        frame_of(
            readings_of(
                active,
                layer_accuracy={0: 0.1, 4: top},
                network_accuracy={0: 0.0, 4: 1.0},
                sparsity={0: 0.2, 4: 0.6},
            ),
            seed,
        )
        for seed, top in ((0, 0.7), (1, 0.9))
    ]
    labels = {"d": DatasetLabel("D", ("a", "b"))}
    one = KINDS["dynamics"]
    figure = one.draw(
        Shown("dynamics", "2025", labels, frames={"dynamics": pd.concat(parts, ignore_index=True)}),
        one.parameters(),
    )
    first, second = figure.axes
    legend = {
        t.get_text(): to_hex(h.get_color())
        for t, h in zip(figure.legends[0].get_texts(), figure.legends[0].get_lines(), strict=True)
    }

    def curve(axes, words, thick=True):
        return [
            line.get_ydata().tolist()
            for line in axes.lines
            if to_hex(line.get_color()) == legend[words] and (line.get_linewidth() > 1) == thick
        ]

    assert curve(first, "accuracy") == [pytest.approx([0.1, 0.8])]
    assert sorted(curve(first, "accuracy", False)) == [[0.1, 0.7], [0.1, 0.9]]
    assert curve(first, "ensembles: Jaccard index with the final ones") == [[0, 1]]
    assert curve(second, "ensembles: Jaccard index with the final ones") == [[1, 1]]
    assert curve(first, "classes with an ensemble") == [[0, 1]]
    assert curve(second, "classes with an ensemble") == [[1, 1]]
    assert curve(first, "Hoyer sparsity") == [pytest.approx([0.2, 0.6])]
    assert first.lines[0].get_xdata().tolist() == [0, 4]


def test_silencing_shows_the_class_beside_the_others():
    frame = pd.concat(
        [silence_rows(s, own, 0.1) for s, own in ((0, 0.5), (1, 0.7))], ignore_index=True
    )
    one = KINDS["causality"]
    own, others, *_ = one.draw(
        Shown("causality", "2023", LABEL, frames={"causality": frame}), one.parameters()
    ).axes
    assert (own.get_title(), others.get_title()) == ("layer 1: the class", "layer 1: others")
    got = [[(round(x), y) for x, y in points_of(axes)] for axes in (own, others)]
    assert [y for x, y in got[0] if x == 0] == [0.5, 0.7]
    assert [y for x, y in got[0] if x == 1] == [0.25, 0.35]
    assert [y for x, y in got[1] if x == 0] == [0.1, 0.1]


def test_pruned_nets_stand_at_their_share_and_rule():
    frame = pd.concat([pruned_rows(0, 0.9), pruned_rows(1, 0.94)], ignore_index=True).assign(
        seconds=2e-6
    )
    one = KINDS["pruning"]
    figure = one.draw(Shown("pruning", "2023", LABEL, frames={"pruning": frame}), one.parameters())
    accuracy, time = figure.axes
    thick = [
        line
        for line in accuracy.lines
        if line.get_linewidth() == 1.0 and len(line.get_xdata()) == 3
    ]
    assert [line.get_xdata().tolist() for line in thick] == [[0.004, 0.009, 0.05]] * 4
    assert [line.get_ydata()[0] for line in thick] == pytest.approx(
        [0.8 * 0.92 * f for f in (1, 0.25, 0.5, 0.25)]
    )
    (stars,) = (line for line in accuracy.lines if line.get_marker() == "*")
    assert sorted(stars.get_ydata()) == pytest.approx([0.72, 0.752])
    (times,) = time.lines
    assert set(times.get_ydata()) == {2.0}
    assert times.get_xdata().tolist() == [0.004, 0.009, 0.05, 1.0]


def test_every_panel_of_phases_shows_its_own_column():
    one = KINDS["sleep_wake"]
    _, sparsity, positive = one.draw(
        Shown("s", "2025", LABEL, frames={"sleep_wake": FRAME}), one.parameters()
    ).axes
    assert [line.get_ydata().tolist() for line in sparsity.lines[1::2]] == [
        pytest.approx([0.1] * 3),
        pytest.approx([0.2] * 3),
    ]
    assert {y for line in positive.lines for y in line.get_ydata()} == {0.5}


def test_dimension_stands_against_size_and_sparsity():
    rows = pd.DataFrame(
        [
            {
                **KEYS,
                "model": "FF",
                "seed": seed,
                "layer": layer,
                "category": c,
                "order": 4,
                "main": True,
                "resolved": True,
                "dimension": 2.0 + c + layer,
                "se": 0.1,
                "shuffled": 20.0,
                "radius": 1.0,
                "n_presentations": 50,
                "silent": 0,
                "duplicates": 0,
                "size": 10.0 + c if layer else np.nan,
                "sparsity": 0.5 + 0.01 * c if layer else np.nan,
                "method": "loo",
                "quantile": np.nan,
            }
            for seed in (0, 1)
            for layer in (0, 1)
            for c in range(3)
        ]
    )
    one = KINDS["dimension"]
    a, _, c, d = one.draw(
        Shown("dimension", "2025", LABEL, frames={"dimension": rows}), one.parameters()
    ).axes
    assert sorted(y for _, y in points_of(a)) == pytest.approx([3.0, 3.0, 4.0, 4.0])
    nulls = [line for line in a.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_ydata().tolist() for line in nulls] == [[20.0], [20.0]]
    assert [line.get_xdata().tolist() for line in c.lines] == [[10.0, 11.0, 12.0]]
    assert [line.get_xdata().tolist() for line in d.lines] == [pytest.approx([0.5, 0.51, 0.52])]
    assert c.lines[0].get_ydata().tolist() == d.lines[0].get_ydata().tolist() == [3.0, 4.0, 5.0]


def test_what_the_studys_own_figure_showed():
    known = as_published("2023", "figure3")
    assert (known["datasets"], known["runs"], known["epochs"]["BP"]) == (
        ("fashionmnist",),
        15,
        20,
    )
    assert as_published("mine", "figure3") == {}


def test_both_nulls_of_patterns_have_their_fill():
    rows = pd.DataFrame(
        [
            {
                **KEYS,
                "model": "FF",
                "seed": seed,
                "layer": 1,
                "category": c,
                "patterns": 2 * c,
                "shuffled": 0.1,
                "cloud": 0.3,
                "jaccard": 0.2,
                "jaccard_random": 0.9,
                "n_presentations": 50,
                "silent": 0,
                "explained": 0.5,
                "map_activation": None,
                "method": "loo",
                "quantile": None,
            }
            for seed in (0, 1)
            for c in (0, 1)
        ]
    )
    one = KINDS["microstructure"]
    label = {"digits": DatasetLabel("Digits", ("a", "b"))}
    seen = Shown("m", "2025", label, frames={"microstructure": rows})
    share, overlap, *_ = one.draw(seen, one.parameters()).axes

    def nulls(axes):
        return {
            line.get_markerfacecolor(): line.get_ydata().tolist()
            for line in axes.lines
            if line.get_color() == GREY
        }

    assert nulls(share) == {"none": [0.1], GREY: [0.3]}
    assert nulls(overlap) == {"none": [0.9]}
    assert [y for d in share.collections for _, y in d.get_offsets()] == [0.5, 0.5]
