"""Figures show what the data say, and survive what runs may bring."""

import json
import re
import warnings
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
import synthetic
import xarray as xr
from docutils.core import publish_doctree
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from synthetic import LABELS, activations, method1, method2

from ffensembles.plotting.activation_map import sorted_map
from ffensembles.plotting.activity import as_square, upper_limit
from ffensembles.plotting.captions import DatasetLabel, differences, mean_and_error
from ffensembles.plotting.figure1 import caption1, example_ids, figure1
from ffensembles.plotting.figure2 import caption2, figure2
from ffensembles.plotting.figure3 import caption3, figure3
from ffensembles.plotting.figure4 import caption4, figure4
from ffensembles.plotting.figure5 import caption5, figure5
from ffensembles.plotting.figure6 import caption6, figure6
from ffensembles.plotting.figure7 import caption7, figure7
from ffensembles.plotting.figure8 import caption8, figure8, most_different
from ffensembles.plotting.saving import save_figure

study = cache(synthetic.study)
CASES = {
    "plain": {},
    "lost": {"lost": (1, 2)},
    "all lost": {"lost": (0, 1, 2, 3)},
    "one run": {"seeds": (0,)},
    "one data set": {"datasets": ("mnist",)},
    "FF alone": {"models": ("FF",)},
}


def every_figure(case: dict):
    """Draw every figure and its caption for one case."""
    tidy = study(**case)
    tree = activations(lost=case.get("lost", ()))
    unseen = activations(held_out=0, lost=case.get("lost", ()))
    one, two, label = method1(tree), method2(tree), LABELS["mnist"]
    labels = {name: LABELS[name] for name in case.get("datasets", LABELS)}
    pair = {"categories": (2, 3)}
    yield figure1(tree, one), caption1(tree, one, label)
    yield figure2(tidy["sizes"], labels), caption2(tidy["sizes"], labels)
    yield figure3(one, **pair), caption3(one, tidy["sharing"], label, **pair)
    yield figure4(unseen, method2(unseen)), caption4(unseen, method2(unseen), tidy["unseen"], label)
    yield figure5(tree), caption5(tree, label)
    yield figure6(tree), caption6(tree, label)
    yield figure7(tidy["weights"], labels), caption7(tidy["weights"], labels)
    yield figure8(one, two, tidy["sizes"], labels), caption8(one, two, tidy["sizes"], labels)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_figure_of_every_case(case):
    for number, (figure, caption) in enumerate(every_figure(case), start=1):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a layout that fails, a missing letter, a mean of none
            FigureCanvasAgg(figure).draw()
        check_inside(figure)
        assert caption.startswith(f"**Figure {number}. ")
        assert not re.search(r"\bnan\b|None|  ", caption)
        assert not list(publish_doctree(caption).findall(lambda n: n.tagname == "system_message"))


def check_inside(figure) -> None:
    """No text is cut off by the page, and none is smaller than 7 points."""
    page = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() >= 7
            box = text.get_window_extent()
            inside = page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1
            # ticks beyond an axis' limits have a place, but are not drawn
            ticks = text.get_text().replace("\N{MINUS SIGN}", "-").replace(".", "").lstrip("-")
            assert inside or ticks.isdigit(), text


def test_files_are_the_same_twice_and_carry_where_they_come_from(tmp_path):
    tree = activations()
    written = []
    for folder in ("one", "two"):
        stem = tmp_path / folder / "figure5"
        written.append(save_figure(figure5(tree), stem, "A caption", {"commit": "abc", "n": "3"}))
    assert [path.name for path in written[0]] == ["figure5.pdf", "figure5.png", "figure5.rst"]
    for a, b in zip(*written, strict=True):
        assert a.read_bytes() == b.read_bytes()
    pdf, png, rst = (path.read_bytes() for path in written[0])
    assert b"CreationDate" not in pdf
    assert b"commit" in png
    assert b"abc" in png
    assert b"abc" in pdf
    assert rst == b"A caption\n"
    assert sorted(path.name for path in stem.parent.iterdir()) == [p.name for p in written[1]]


def test_a_full_sized_map_is_a_small_file(tmp_path):
    tree = activations(units=784, images=2500, layers=1)
    pdf, png, _ = save_figure(figure5(tree, layer=1), tmp_path / "map", "", {})
    assert pdf.stat().st_size < 1_000_000
    assert png.stat().st_size < 2_000_000


def test_nobodys_settings_matter_or_change():
    tree = activations()
    with mpl.rc_context({"font.size": 30, "axes.labelsize": 30}):
        size = figure5(tree).axes[0].xaxis.label.get_fontsize()
        assert mpl.rcParams["font.size"] == 30
    assert size == 8


def test_squares():
    assert as_square(np.arange(784.0)).shape == (28, 28)
    assert as_square(np.arange(50.0)).shape == (7, 8)
    assert np.isnan(as_square(np.arange(50.0))).sum() == 6
    assert as_square(np.ones(1)).tolist() == [[1.0]]
    assert upper_limit(np.array([np.nan])) == 1.0


def test_map_averages_neighbours_and_keeps_every_category_visible():
    tree = activations(lost=(1,), images=30)
    layer = tree["layer1"].to_dataset()
    shown = sorted_map(layer, 4, max_rows=9)
    assert shown.counts == (30, 0, 30, 30)
    assert shown.block == 10
    x = layer["activation"].values
    np.testing.assert_allclose(shown.image[0], x[:10].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(shown.image[-1], x[-10:].mean(axis=0), rtol=1e-6)
    assert shown.edges == (0, 3, 4, 7, 10)
    assert np.isnan(shown.image[3]).all()
    whole = sorted_map(layer, 4, max_rows=1000)
    assert whole.block == 1
    assert whole.image.shape[0] == 90 + 5  # the lost one has a band of its own


def test_map_stretches_the_few_rows_of_a_small_category():
    layer = activations(images=100)["layer1"].to_dataset().isel(presentation=slice(98, None))
    shown = sorted_map(layer, 4)
    assert shown.counts == (2, 100, 100, 100)
    assert shown.stretched == (0,)
    assert shown.edges[1] >= 18
    assert len(np.unique(shown.image[: shown.edges[1]], axis=0)) == 2


def test_captions_say_which_unit_serves_several_classes():
    tree = activations()
    layer = tree["layer1"].to_dataset()
    label = DatasetLabel("MNIST", tuple("0123"))
    by_class = layer["activation"].groupby("label").mean("presentation")
    strongest = by_class.argmax("neuroid").values
    assert len(set(strongest)) == 4
    assert "No two classes have the same most active unit." in caption5(tree, label, layer=1)
    layer["activation"][:, 3] = 1
    tree["layer1"] = xr.DataTree(layer)
    assert "Unit 3 is the most active on average for every class." in caption5(tree, label, layer=1)
    layer["activation"][:, 3] = 0.9 + 0.1 * (layer["label"] != 0)
    layer["activation"][:, 4] = 0.95
    tree["layer1"] = xr.DataTree(layer)
    assert "Unit 3 is the most active on average for 3 of 4 classes" in caption5(
        tree, label, layer=1
    )


def test_caption_says_why_no_unit_is_active():
    tree = activations(held_out=0)
    label = DatasetLabel("MNIST", tuple("0123"))
    rows = study()["unseen"]
    assert "There is none" not in caption4(tree, method2(tree), rows, label)
    layer = tree["layer1"].to_dataset()
    layer["activation"] = 0.3 * layer["activation"]
    tree["layer1"] = xr.DataTree(layer)
    said = caption4(tree, method2(tree), rows, label)
    assert "There is none since the highest mean, 0.1" in said


def test_unseen_images_count_whatever_the_net_calls_them():
    layer = activations(held_out=0, lost=(0,))["layer1"].to_dataset()
    assert sorted_map(layer, 4).counts[0] == 0
    assert sorted_map(layer, 4, unseen=0).counts[0] == 12


def test_examples_are_correct_and_typical():
    tree = activations(lost=(1,))
    picked = example_ids(tree)
    assert list(picked) == [0, 2, 3]
    layer = tree["layer1"].to_dataset()
    labels = dict(zip(layer["stimulus_id"].values.tolist(), layer["label"].values, strict=True))
    assert all(labels[stimulus] == category for category, stimulus in picked.items())
    assert list(example_ids(tree, [3])) == [3]
    images = {stimulus: np.zeros((3, 8, 8), np.uint8) for stimulus in picked.values()}
    assert len(figure1(tree, method1(tree), images=images).axes) == 3 * 4 + 4 + 1 + 2


def test_figure2_bars_are_the_means_over_runs():
    sizes = study()["sizes"]
    axes = figure2(sizes, LABELS).axes[0]
    rows = sizes[
        (sizes.dataset == "mnist") & (sizes.model == "FF") & (sizes.layer == 1)
        & (sizes["quantile"] == 0.95) & sizes.held_out.isna() & (sizes.category == 2)
    ]  # fmt: skip
    bar = axes.containers[0][2]
    assert bar.get_y() + bar.get_height() == pytest.approx(rows["size"].mean())
    assert axes.get_yscale() == "log"
    floor = [
        line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "--"
    ]
    assert floor[0].get_ydata()[0] == pytest.approx(2.5)


def test_figure2_shows_empty_and_lost_ensembles():
    sizes = study(seeds=(0,))["sizes"].copy()
    here = (sizes.model == "FF") & (sizes.layer == 1)
    sizes.loc[here & (sizes.category == 0), "size"] = 0
    sizes.loc[here & (sizes.category == 1), "size"] = np.nan
    axes = figure2(sizes, LABELS).axes[0]
    assert [line.get_marker() for line in axes.lines[:2]] == ["^", "x"]
    caption = caption2(sizes, LABELS)
    assert "open triangle" in caption
    assert "missing" in caption
    assert "means over 1 run per model (the study: 15 runs)" in caption


def test_figure3_counts_what_is_shared():
    found = method1(activations("fashionmnist"))
    figure = figure3(found, categories=(0, 2))
    active = found["layer1"].to_dataset().sel(quantile=0.9)["active"].values
    written = [text.get_text() for text in figure.axes[-1].texts]
    assert written[2] == str((active[0] & active[2]).sum())
    assert written[0] == str(active[0].sum())
    rings = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(rings[0].get_xdata()) == (active[0] & active[2]).sum()


def test_figure4_needs_a_run_that_left_a_class_out():
    tree = activations()
    with pytest.raises(ValueError, match="held_out"):
        figure4(tree, method2(tree))


def test_figure7_counts_units_with_negative_weights_alone():
    by_unit = study(seeds=(0,))["weights"]
    ff = by_unit[(by_unit.model == "FF") & (by_unit.layer == 2) & (by_unit.dataset == "mnist")]
    count = int((ff.negative == 1).sum())
    assert 0 < count < 50
    assert f"MNIST: FF {count} (n = 1) of 50" in caption7(by_unit, LABELS)
    assert f"{count} units" in figure7(by_unit, LABELS).axes[0].texts[0].get_text()


def test_figure8_picks_the_class_where_methods_differ_most():
    tree = activations()
    one, two = method1(tree), method2(tree)
    two["layer2"]["active"][3, :20] = ~one["layer2"]["active"].values[2, 3, :20]
    two["layer2"]["active"][3, 20:] = one["layer2"]["active"].values[2, 3, 20:]
    for name in ("layer1", "layer3"):
        two[name]["active"][:] = one[name]["active"].values[2]
    assert most_different(one, two, 0.99) == (2, 3)
    lost = activations(lost=(0, 1, 2, 3))
    assert most_different(method1(lost), method2(lost), 0.99) is None


def test_figure8_leaves_out_runs_with_a_held_out_class():
    sizes, tree = study()["sizes"], activations()
    one, two = method1(tree), method2(tree)
    assert "144 ensembles" in caption8(one, two, sizes, LABELS)  # 2 x 2 x 3 runs of 3 x 4


def test_caption_8_counts_the_ensembles_that_method_2_cuts_short():
    one, two, sizes = method1(activations()), method2(activations()), study()["sizes"].copy()
    of_two = sizes.index[sizes.method == "method2"]
    largest = int(two["layer1"].attrs["n_h_cut"]) + 1
    sizes.loc[of_two, "size"] = 0.0
    assert "letting no more in" not in caption8(one, two, sizes, LABELS)
    sizes.loc[of_two[:5], "size"] = float(largest)
    assert f"5 ensembles of {largest} units by Method 2 may be larger" in caption8(
        one, two, sizes, LABELS
    )


def test_one_figure_is_of_one_protocol():
    sizes = study(seeds=(0,))["sizes"].copy()
    sizes.loc[0, "protocol"] = "relu-l2"
    with pytest.raises(ValueError, match="one protocol"):
        figure2(sizes, LABELS)


def test_captions_say_what_differs_from_the_study():
    digits = {"digits": DatasetLabel("digits", ("0",), 1437, {"FF": 300})}
    said = differences(digits, ["FF"], "sigmoid-linf", ["mnist"])
    assert "The study's figure shows MNIST." in said
    assert "1,437 images and 300 epochs a layer of FF (the study: 1,000)" in said
    same = {"mnist": DatasetLabel("MNIST", ("0",), 60_000, {"FF": 1000})}
    assert differences(same, ["FF"], "sigmoid-linf", ["mnist"]) == ""
    assert "protocol sigmoid-linf" in differences(same, ["FF"], "relu-l2", ["mnist"])
    assert mean_and_error([2.0, np.nan, 4.0]) == "3 ± 1 (n = 2)"
    assert mean_and_error([np.nan]) == "missing"


def test_provenance_is_json_in_the_pdf(tmp_path):
    pdf, *_ = save_figure(figure6(activations()), tmp_path / "a.b", "", {"model": "FF"})
    assert pdf.name == "a.b.pdf"
    assert json.dumps({"model": "FF"}).encode() in pdf.read_bytes()
