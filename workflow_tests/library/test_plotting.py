"""Figures show what the data say, and survive what runs may bring."""

import json
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache, partial

import matplotlib as mpl
import numpy as np
import pytest
import synthetic
import xarray as xr
from docutils.core import publish_doctree
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from pydantic import ValidationError
from synthetic import LABELS, activations, found, method1, method2, shown

from ffensembles.ensembles import METHODS, find_ensembles
from ffensembles.extensions import EXTENSIONS
from ffensembles.plotting import KINDS
from ffensembles.plotting.captions import DatasetLabel, differences, mean_and_error
from ffensembles.plotting.kinds.activity import examples
from ffensembles.plotting.kinds.methods import most_different
from ffensembles.plotting.maps import sorted_map
from ffensembles.plotting.matrix import draw_matrix
from ffensembles.plotting.models import colour_of, in_order, title_of
from ffensembles.plotting.pictures import as_square, scale_of, upper_limit
from ffensembles.plotting.registry import Shown
from ffensembles.plotting.saving import save_figure
from ffensembles.plotting.style import new_figure
from ffensembles.publication.numbers import Published, published
from ffensembles.representations.sample import sample_activations

study = cache(synthetic.study)
CASES = {
    "plain": {},
    "lost": {"lost": (1, 2)},
    "all lost": {"lost": (0, 1, 2, 3)},
    "one run": {"seeds": (0,)},
    "one data set": {"datasets": ("mnist",)},
    "FF alone": {"models": ("FF",)},
    "two layers": {"layers": 2},
    "ReLU with an outlier": {"relu": True},
}
FIGURES = [
    ("activity", {}),
    ("sizes", {}),
    ("sharing", {"categories": [2, 3]}),
    ("unseen", {}),
    ("activation_map", {}),
    ("weights", {}),
    ("methods", {}),
    ("sparsity", {}),
    ("learning_curves", {}),
    ("rsa", {}),
    ("probes", {}),
    ("control", {}),
]
OTHERS = [
    ("activity", {"method": "loo", "layer": 2}),
    ("sizes", {"method": "loo"}),
    ("sharing", {"categories": [0, 1], "method": "loo", "measure": "jaccard"}),
    ("unseen", {"method": "loo", "panel": "sharing"}),
    ("weights", {"sign": "positive", "layer": 1}),
    ("rsa", {"of": "classes"}),
    ("probes", {"score": "auc"}),
]
"""Drawn where parameters meet what runs may bring."""


def drawn(kind, frames=None, figure="figure1", **parameters):
    """Draw a kind with some parameters on a plain study; return figure and caption."""
    of = KINDS[kind].parameters(**parameters)
    all_frames = study() | (frames or {})
    labels = None if KINDS[kind].by_dataset else LABELS
    seen = shown(kind, of, all_frames, figure, 0 if kind == "unseen" else None, labels)
    return KINDS[kind].draw(seen, of), KINDS[kind].caption(seen, of)


def render(figure) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that fails, a missing letter, a mean of none
        FigureCanvasAgg(figure).draw()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[] if name == "plain" else pytest.mark.slow)
        for name, case in CASES.items()
    ],
)
def test_every_kind_of_every_case(case):
    net = {key: case[key] for key in ("lost", "layers", "relu") if key in case}
    labels = {name: LABELS[name] for name in case.get("datasets", LABELS)}
    figures = FIGURES + OTHERS if {"lost", "relu"} & set(case) else FIGURES
    if {"datasets", "models"} & set(case):  # example runs are the same in these
        figures = [(kind, of) for kind, of in figures if not KINDS[kind].by_dataset]
    for number, (kind, parameters) in enumerate(figures, start=1):
        of = KINDS[kind].parameters(**parameters)
        held_out = 0 if kind == "unseen" else None
        some = None if KINDS[kind].by_dataset else labels
        seen = shown(kind, of, study(**case), f"figure{number}", held_out, some, **net)
        figure, caption = KINDS[kind].draw(seen, of), KINDS[kind].caption(seen, of)
        render(figure)
        check_inside(figure)
        assert caption.startswith(f"**Figure {number}. ")
        assert not re.search(r"\bnan\b|None|  |[Nn]euroid|[Cc]ategor", caption)
        assert not list(publish_doctree(caption).findall(lambda n: n.tagname == "system_message"))
        words = " ".join(text.get_text() for text in figure.findobj(Text))
        assert not re.search(r"[Nn]euroid|[Cc]ategor", words)
        if KINDS[kind].by_dataset:
            assert f"FF, {LABELS[of.dataset].title}" in words


def check_inside(figure) -> None:
    """No text is cut off by the page, and none is smaller than 7 points."""
    page = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() >= 7
            box = text.get_window_extent()
            inside = page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1
            inside &= page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1
            # ticks beyond an axis' limits have a place, but are not drawn
            ticks = text.get_text().replace("\N{MINUS SIGN}", "-").replace(".", "").lstrip("-")
            assert inside or ticks.isdigit(), text


def test_the_registry_is_imported_in_no_time():
    code = (
        "import sys; from ffensembles.plotting.registry import KINDS; print(len(KINDS), "
        "set(sys.modules) & {'matplotlib', 'seaborn', 'torch', 'scipy', 'sklearn', 'statsmodels'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{len(KINDS)} set()"


def test_every_kind_is_registered_with_its_defaults():
    names = {kind for kind, _ in FIGURES}
    assert set(KINDS) - set(EXTENSIONS) == names  # those have tests of their own
    for name in names:
        kind = KINDS[name]
        of = kind.parameters()
        assert of.kind == name
        assert next(iter(kind.parameters.model_fields)) == "kind"
        needs = kind.needs(of)
        assert needs.sample or needs.methods or needs.frames or needs.run_frames
        assert kind.by_dataset == (needs.frames == ())
        with pytest.raises(ValidationError, match="Extra inputs"):
            kind.parameters(colour="red")


def test_parameters_that_do_not_go_together_are_refused():
    with pytest.raises(ValidationError, match=r"found .method3.; allowed: "):
        KINDS["sizes"].parameters(method="method3")
    with pytest.raises(ValidationError, match="method2"):
        KINDS["unseen"].parameters(method="loo")
    assert KINDS["unseen"].parameters(method="loo", panel="sharing").at is None
    assert KINDS["activity"].parameters(method="loo").method_title == "LOO"
    assert KINDS["activity"].parameters().method_title == "Method 1 at quantile 0.9"


def test_a_missing_sample_is_named():
    of = KINDS["activation_map"].parameters()
    with pytest.raises(ValueError, match="figure5: its kind needs a sample"):
        KINDS["activation_map"].draw(Shown("figure5", "2023", {"mnist": LABELS["mnist"]}), of)


def test_a_layer_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="layer: found 4, the run has layer1"):
        drawn("activation_map", layer=4)


def test_files_are_the_same_twice_and_carry_where_they_come_from(tmp_path):
    written = []
    for folder in ("one", "two"):
        stem = tmp_path / folder / "figure5"
        figure, _ = drawn("activation_map")
        written.append(save_figure(figure, stem, "A caption", {"commit": "abc", "n": "3"}))
    assert [path.name for path in written[0]] == ["figure5.pdf", "figure5.png", "figure5.rst"]
    for a, b in zip(*written, strict=True):
        assert a.read_bytes() == b.read_bytes()
    pdf, png, rst = (path.read_bytes() for path in written[0])
    assert b"CreationDate" not in pdf
    assert b"commit" in png
    assert b"abc" in png
    assert b"abc" in pdf
    assert rst == b"A caption\n"
    there = sorted(path.name for path in stem.parent.iterdir())
    assert there == [".figure5.sha256", *(path.name for path in written[1])]


def test_provenance_is_json_in_the_pdf(tmp_path):
    pdf, *_ = save_figure(drawn("weights")[0], tmp_path / "a.b", "", {"model": "FF"})
    assert pdf.name == "a.b.pdf"
    assert json.dumps({"model": "FF"}).encode() in pdf.read_bytes()


def test_a_full_sized_map_is_a_small_file(tmp_path):
    sample = sample_activations(activations(units=784, images=2500, layers=1), None)
    of = KINDS["activation_map"].parameters(layer=1)
    seen = Shown("figure5", "2023", {"mnist": LABELS["mnist"]}, sample=sample)
    pdf, png, _ = save_figure(KINDS["activation_map"].draw(seen, of), tmp_path / "map", "", {})
    assert pdf.stat().st_size < 1_000_000
    assert png.stat().st_size < 2_000_000


def test_nobodys_settings_matter_or_change():
    with mpl.rc_context({"font.size": 30, "axes.labelsize": 30}):
        sizes = {drawn(kind)[0].axes[0].xaxis.label.get_fontsize() for kind in ("sizes", "weights")}
        assert mpl.rcParams["font.size"] == 30
    assert sizes == {8}


def test_squares():
    assert as_square(np.arange(784.0)).shape == (28, 28)
    assert as_square(np.arange(50.0)).shape == (7, 8)
    assert np.isnan(as_square(np.arange(50.0))).sum() == 6
    assert as_square(np.ones(1)).tolist() == [[1.0]]
    assert upper_limit(np.array([np.nan])) == 1.0


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1e6)))
def test_a_scale_holds_nearly_all_values(values):
    scale = scale_of(values)
    positive = values[values > 0]
    assert scale.cut == bool((values > scale.limit).any())
    assert (positive > scale.limit).sum() <= 0.005 * positive.size + 1
    if values.max() <= 1:
        assert not scale.cut


def test_an_outlier_does_not_make_the_map_pale():
    of = KINDS["activation_map"].parameters(layer=1)
    seen = shown("activation_map", of, study(), relu=True)
    layer = seen.sample["layer1"].to_dataset()
    layer["activation"][0, 0] = 1e6
    seen.sample["layer1"] = xr.DataTree(layer)
    figure = KINDS["activation_map"].draw(seen, of)
    assert 10 <= figure.axes[0].images[0].get_clim()[1] <= 50
    assert "99.5% quantile" in KINDS["activation_map"].caption(seen, of)
    assert "quantile" not in drawn("activation_map")[1]


def test_map_averages_neighbours_and_keeps_every_class_visible():
    tree = activations(lost=(1,), images=30)
    layer = tree["layer1"].to_dataset()
    seen = sorted_map(layer, 4, max_rows=9)
    assert seen.counts == (30, 0, 30, 30)
    assert seen.block == 10
    x = layer["activation"].values
    np.testing.assert_allclose(seen.image[0], x[:10].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(seen.image[-1], x[-10:].mean(axis=0), rtol=1e-6)
    assert seen.edges == (0, 3, 4, 7, 10)
    assert np.isnan(seen.image[3]).all()
    whole = sorted_map(layer, 4, max_rows=1000)
    assert whole.block == 1
    assert whole.image.shape[0] == 90 + 5  # the lost one has a band of its own


def test_map_stretches_the_few_rows_of_a_small_class():
    layer = activations(images=100)["layer1"].to_dataset().isel(presentation=slice(98, None))
    seen = sorted_map(layer, 4)
    assert seen.counts == (2, 100, 100, 100)
    assert seen.stretched == (0,)
    assert seen.edges[1] >= 18
    assert len(np.unique(seen.image[: seen.edges[1]], axis=0)) == 2


def test_pixels_are_one_number_however_many_runs_measured_them():
    _, caption = drawn("probes")
    assert re.search(r"pixels 0\.\d+; trained net layer 1 0\.\d+ ± 0\.\d+ \(n = 2\)", caption)
    assert "0.500 on average in *A* (0.500 to 0.500) and 0.500 on average in *B*" in caption
    assert caption.endswith("± is the standard error over runs.")


def test_captions_of_maps_say_how_many_images_of_how_many():
    assert (
        "on 20 of the 48 correctly classified test images, up to 5 of each class"
        in (drawn("activation_map")[1])
    )
    caption = drawn("unseen")[1]
    assert "on 15 of the 36 correctly classified test images of the classes seen" in caption
    assert "on 5 of the 12 test images of T-shirt/top (framed)" in caption
    of = KINDS["activation_map"].parameters()
    sample = sample_activations(activations(), None)
    seen = Shown("map", "2023", {"mnist": LABELS["mnist"]}, sample=sample)
    assert "on all 48 correctly classified test images, sorted" in (
        KINDS["activation_map"].caption(seen, of)
    )


def test_captions_say_which_unit_serves_several_classes():
    tree = activations()
    of = KINDS["activation_map"].parameters(layer=1)

    def caption():
        seen = Shown("figure5", "2023", {"mnist": LABELS["mnist"]}, sample_activations(tree, None))
        return KINDS["activation_map"].caption(seen, of)

    layer = tree["layer1"].to_dataset()
    by_class = layer["activation"].groupby("label").mean("presentation")
    assert len(set(by_class.argmax("neuroid").values)) == 4
    assert "No two classes have the same most active unit." in caption()
    layer["activation"][:, 3] = 1
    tree["layer1"] = xr.DataTree(layer)
    assert "Unit 3 is the most active on average for every class." in caption()
    layer["activation"][:, 3] = 0.9 + 0.1 * (layer["label"] != 0)
    layer["activation"][:, 4] = 0.95
    tree["layer1"] = xr.DataTree(layer)
    assert "Unit 3 is the most active on average for 3 of 4 classes" in caption()


def test_caption_says_why_no_unit_is_active():
    of = KINDS["unseen"].parameters(dataset="mnist")
    seen = shown("unseen", of, study(), held_out=0)
    assert "There is none" not in KINDS["unseen"].caption(seen, of)
    tree = activations(held_out=0)
    layer = tree["layer1"].to_dataset()
    layer["activation"] = 0.3 * layer["activation"]
    tree["layer1"] = xr.DataTree(layer)
    quiet = Shown("figure4", "2023", seen.labels, sample_activations(tree, 5),
                  {"method2": method2(tree)}, seen.frames)  # fmt: skip
    assert "There is none since the highest mean, 0.1" in KINDS["unseen"].caption(quiet, of)


def test_unseen_images_count_whatever_the_net_calls_them():
    layer = activations(held_out=0, lost=(0,))["layer1"].to_dataset()
    assert sorted_map(layer, 4).counts[0] == 0
    assert sorted_map(layer, 4, unseen=0).counts[0] == 12


def test_the_figure_of_an_unseen_class_needs_one():
    of = KINDS["unseen"].parameters()
    seen = shown("unseen", of, study())
    with pytest.raises(ValueError, match="held_out"):
        KINDS["unseen"].draw(seen, of)


def test_panel_a_shows_the_examples_of_the_sample():
    sample = sample_activations(activations(lost=(1,)), 5)
    picked = examples(sample)
    assert list(picked) == [0, 2, 3]
    labels = sample["layer1"]["label"].values
    assert [labels[place] for place in picked.values()] == [0, 2, 3]
    of = KINDS["activity"].parameters()
    seen = shown("activity", of, study(), lost=(1,))
    figure = KINDS["activity"].draw(seen, of)
    assert len(figure.axes) == 3 * 3 + 1 + 4 + 2  # squares and scale, classes, map and scale
    image = figure.axes[0].images[0].get_array()
    first = sample["layer1"]["activation"].values[picked[0]]
    np.testing.assert_array_equal(np.asarray(image).ravel()[:50], first)


def test_dots_of_mean_activations_stand_above_the_bars():
    figure, _ = drawn("activity")
    render(figure)
    axes = next(a for a in figure.axes if "units" in a.get_title())
    (dots,) = axes.lines
    bars = axes.collections[1].get_segments()
    assert len(bars) == len(dots.get_xdata()) > 0
    tops = axes.transData.transform([segment[1] for segment in bars])[:, 1]
    # the marker's lower edge, in pixels
    places = dots.get_transform().transform(np.column_stack(dots.get_data()))[:, 1]
    radius = dots.get_markersize() / 2 * figure.dpi / 72
    assert (places - radius > tops).all()


def test_sizes_show_every_run_and_the_mean_of_the_numbers_themselves():
    sizes = study()["sizes"].copy()
    here = (
        (sizes.dataset == "mnist") & (sizes.model == "FF") & (sizes.layer == 1)
        & np.isclose(sizes["quantile"].astype(float), 0.95) & (sizes.method == "method1")
        & sizes.held_out.isna() & (sizes.category == 2)
    )  # fmt: skip
    sizes.loc[here, "size"] = [1.0, 100.0]
    axes = drawn("sizes", {"sizes": sizes})[0].axes[0]
    runs = [tuple(at) for dots in axes.collections for at in dots.get_offsets()]
    place = 2 - 0.8 / 3
    assert sorted(y for x, y in runs if x == pytest.approx(place)) == pytest.approx([1, 100])
    means = [
        (x, y) for line in axes.lines if line.get_marker() == "_"
        for x, y in zip(*line.get_data(), strict=True)
    ]  # fmt: skip
    # on the symmetric logarithmic axis a mean of places would be near 10
    assert [y for x, y in means if x == pytest.approx(place)] == pytest.approx([50.5])
    floor = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert floor[0].get_ydata()[0] == pytest.approx(2.5)


def test_sizes_show_empty_and_lost_ensembles():
    sizes = study(seeds=(0,))["sizes"].copy()
    here = (sizes.model == "FF") & (sizes.layer == 1)
    sizes.loc[here & (sizes.category == 0), "size"] = 0
    sizes.loc[here & (sizes.category == 1), "size"] = np.nan
    figure, caption = drawn("sizes", {"sizes": sizes})
    axes = figure.axes[0]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [line.get_xdata()[0] for line in crosses] == pytest.approx([1 - 0.8 / 3])
    low, _ = axes.get_ylim()
    assert low < 0  # a size of 0 has its place
    offsets = [tuple(at) for dots in axes.collections for at in dots.get_offsets()]
    assert (pytest.approx(-0.8 / 3), 0.0) in offsets
    assert "missing" in caption
    assert "over 1 run per model" in caption


def test_sharing_counts_what_is_shared():
    figure, _ = drawn("sharing", categories=[0, 2])
    active = method1(activations("fashionmnist"))["layer1"].to_dataset()
    active = active.sel(quantile=0.9)["active"].values
    matrix = next(axes for axes in figure.axes if len(axes.texts) == 16)
    written = [text.get_text() for text in matrix.texts]
    assert written[2] == str((active[0] & active[2]).sum())
    assert written[0] == str(active[0].sum())
    rings = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(rings[0].get_xdata()) == (active[0] & active[2]).sum()


def test_the_matrix_of_jaccard_indices_has_sizes_on_its_diagonal():
    values = np.array([[1.0, 0.25, np.nan], [0.25, 1.0, 0.0], [np.nan, 0.0, 1.0]])
    counts = np.array([[4.0, 2.0, np.nan], [2.0, 6.0, 0.0], [np.nan, 0.0, 3.0]])
    dims = ("category", "other")
    shared = xr.Dataset({"count": (dims, counts), "jaccard": (dims, values)})
    figure = new_figure(3, 3)
    draw_matrix(figure, shared, ["a", "b", "c"], "jaccard", unseen=1)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written == ["4", ".25", "\N{EN DASH}", ".25", "6", ".00", "\N{EN DASH}", ".00", "3"]
    assert len(figure.axes[0].patches) == 2


@pytest.mark.parametrize("sign", ["negative", "positive"])
def test_weights_count_units_with_one_sign_alone(sign):
    by_unit = study(seeds=(0,))["positive_weights_by_unit"].copy()
    ff = (by_unit.model == "FF") & (by_unit.layer == 2) & (by_unit.dataset == "mnist")
    by_unit.loc[by_unit.index[ff][:7], "positive"] = 1.0
    by_unit.loc[by_unit.index[ff][:7], "negative"] = 0.0
    count = int((by_unit[ff][sign] == 1).sum())
    assert 0 < count < 50
    figure, caption = drawn("weights", {"positive_weights_by_unit": by_unit}, sign=sign)
    assert f"MNIST: FF {count} (n = 1) of 50" in caption
    assert f"{count} units with {sign} weights alone (n = 1)" in figure.axes[0].texts[0].get_text()


def test_methods_shows_the_class_where_methods_differ_most():
    tree = activations()
    one, two = method1(tree), method2(tree)
    two["layer2"]["active"][3, :20] = ~one["layer2"]["active"].values[2, 3, :20]
    two["layer2"]["active"][3, 20:] = one["layer2"]["active"].values[2, 3, 20:]
    for name in ("layer1", "layer3"):
        two[name]["active"][:] = one[name]["active"].values[2]
    assert most_different(one, two, 0.99) == (2, 3)
    lost = activations(lost=(0, 1, 2, 3))
    assert most_different(method1(lost), method2(lost), 0.99) is None


def test_methods_leaves_out_runs_with_a_held_out_class():
    assert "144 ensembles" in drawn("methods")[1]  # 2 x 2 x 3 runs of 3 x 4


def test_methods_marks_the_wall_that_the_cut_in_rank_makes():
    sizes = study()["sizes"].copy()
    of_two = sizes.index[(sizes.method == "method2") & sizes.held_out.isna()]
    box = find_ensembles(activations(), "method2", cut="box")
    largest = int(box["layer1"].attrs["n_h_cut"]) + 1

    def boxed():
        of = KINDS["methods"].parameters()
        seen = shown("methods", of, study() | {"sizes": sizes}, "figure8", None, LABELS)
        seen = replace(seen, ensembles={**seen.ensembles, "method2": box})
        return KINDS["methods"].draw(seen, of), KINDS["methods"].caption(seen, of)

    sizes.loc[of_two, "size"] = 0.0
    assert "no ensemble ends there" in boxed()[1]
    sizes.loc[of_two[:5], "size"] = float(largest)
    figure, caption = boxed()
    assert f"ends ensembles at {largest} units (dotted line)" in caption
    assert "5 ensembles that end there may be larger" in caption
    walls = [
        line for line in figure.axes[1].lines
        if line.get_label() == "Method 2's cut" and line.get_xdata()[0] == largest
    ]  # fmt: skip
    assert len(walls) == 1
    assert figure.axes[0].get_ylim()[1] <= 1.05  # mean activations of a sigmoid end at 1


def test_methods_keeps_its_panel_where_one_of_them_finds_nothing():
    of = KINDS["methods"].parameters()
    seen = shown("methods", of, study(), "figure8", None, LABELS)
    none = find_ensembles(activations(), "method2", cut="box", max_n_h=0.0, max_rho=0.0)
    figure = KINDS["methods"].draw(replace(seen, ensembles={**seen.ensembles, "method2": none}), of)
    render(figure)
    assert figure.axes[0].get_position().height > 0.75


def test_a_gap_of_method_2_is_shown_and_limits_no_size():
    for kind, held_out, labels in (("methods", None, LABELS), ("unseen", 0, None)):
        of = KINDS[kind].parameters()
        seen = shown(kind, of, study(), "figure8", held_out, labels)
        tree = activations(getattr(of, "dataset", "mnist"), held_out=held_out)
        gap = find_ensembles(tree, "method2", cut="gap")
        seen = replace(seen, ensembles={**seen.ensembles, "method2": gap})
        figure, caption = KINDS[kind].draw(seen, of), KINDS[kind].caption(seen, of)
        render(figure)
        check_inside(figure)
        if kind == "methods":
            assert "widest gap of its diagram, which limits no size" in caption
            assert "Method 2's cut" not in {line.get_label() for line in figure.axes[1].lines}
        else:
            assert re.search(r"the cut \(the widest gap between units, 0\.\d+ of the", caption)


def test_sparsity_and_learning_curves_draw_each_run():
    axes = drawn("sparsity")[0].axes
    points = sum(len(dots.get_offsets()) for dots in axes[0].collections)
    assert points == 3 * 3 * 2  # layers, models, runs
    assert sum(len(dots.get_offsets()) for dots in axes[1].collections) == 4 * 3 * 2
    figure, caption = drawn("learning_curves")
    loss, goodness, winners = figure.axes[:3]
    assert [len(part.lines) for part in (loss, goodness, winners)] == [6, 12, 6]
    of_bp = figure.axes[6:9]
    assert [len(part.lines) for part in of_bp] == [2, 0, 0]
    assert "in layer 3; BP/FF" in caption


def test_one_figure_is_of_one_protocol():
    sizes = study(seeds=(0,))["sizes"].copy()
    sizes.loc[0, "protocol"] = "relu-l2"
    with pytest.raises(ValueError, match="one protocol"):
        drawn("sizes", {"sizes": sizes})


def test_no_runs_at_all_still_give_a_figure():
    none = {name: frame.iloc[:0] for name, frame in study().items()}
    for kind in ("sizes", "weights", "sparsity", "learning_curves"):
        figure, caption = drawn(kind, none)
        render(figure)
        assert caption.startswith("**Figure 1. ")


def test_captions_say_what_differs_from_the_study():
    def said(labels, **of_study):
        return differences(Shown("figure1", "2023", labels, study=of_study), ["FF"])

    digits = {"digits": DatasetLabel("digits", ("0",), 1437, {"FF": 300})}
    text = said(digits, datasets=("mnist",), epochs={"FF": 1000}, images={"mnist": 60_000})
    assert "The study's figure shows MNIST." in text
    assert "1,437 images and 300 epochs of FF (the study: 1,000)" in text
    same = {"mnist": DatasetLabel("MNIST", ("0",), 60_000, {"FF": 1000})}
    assert not said(same, datasets=("mnist",), epochs={"FF": 1000}, images={"mnist": 60_000})
    fewer = {"mnist": DatasetLabel("MNIST", ("0",), 500, {})}
    assert "500 images (the study: 60,000)" in said(fewer, images={"mnist": 60_000})
    assert mean_and_error([2.0, np.nan, 4.0]) == "3 ± 1 (n = 2)"
    assert mean_and_error([np.nan]) == "missing"


def test_captions_quote_published_numbers_with_what_they_are():
    of = KINDS["methods"].parameters()
    seen = shown("methods", of, study(), labels=LABELS)
    assert "the study" not in KINDS["methods"].caption(seen, of)
    quoted = Shown(seen.figure, "2023", seen.labels, None, seen.ensembles, seen.frames,
                   published, {"runs": 15})  # fmt: skip
    caption = KINDS["methods"].caption(quoted, of)
    assert "(the study, Figure 8B: 0.98; " in caption
    assert "2 runs (the study: 15)" in caption
    assert isinstance(published("regression_slope"), Published)


def test_sparsity_quotes_the_later_edition():
    of = KINDS["sparsity"].parameters()
    rows = study()["sparsity"].assign(protocol="relu-l2")
    seen = Shown("figure2", "2025", LABELS, frames={"sparsity": rows},
                 published=partial(published, protocol="relu-l2"))  # fmt: skip
    caption = KINDS["sparsity"].caption(seen, of)
    assert "(the study: 0.9, 0.899 to 0.901)" in caption
    keys = rows.groupby(["dataset", "model", "layer"]).groups
    sources = [published("sparsity", *key, protocol="relu-l2") for key in keys]
    known = [one.known for one in sources if one]
    assert {*known} == {"printed", "fitted", "inferred"}
    inferred = len(known) - known.count("printed")
    assert (
        f"The study's values: Public notebooks; the settings of {inferred} of {len(known)} are not "
        "printed beside them but follow from the order of a listing."
    ) in caption


def test_models_have_one_look_everywhere():
    assert in_order(["zeta", "BP", "FF"]) == ["FF", "BP", "zeta"]
    assert title_of("zeta") == "zeta"
    assert colour_of("zeta").startswith("#")
    assert len({colour_of(model) for model in ("FF", "BPFF", "BP")}) == 3
    frames = {"sizes": study()["sizes"].replace({"model": {"BP": "zeta"}})}
    figure, caption = drawn("sizes", frames)
    render(figure)
    assert "zeta" in caption


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 14), st.sets(st.integers(0, 3)), st.sampled_from([None, 0]), st.integers(0))
def test_a_sample_holds_correct_images_of_each_class(per_class, lost, held_out, seed):
    tree = activations(lost=tuple(lost), held_out=held_out, layers=2)
    sample = sample_activations(tree, per_class, seed)
    layer = sample["layer2"].to_dataset()
    labels, of_all = layer["label"].values, [12] * 4
    for category in lost - {held_out}:
        of_all[category] = 0
    assert sample.attrs["counts"] == of_all
    assert sample.attrs["per_class"] == per_class
    assert np.bincount(labels, minlength=4).tolist() == [min(n, per_class) for n in of_all]
    assert (np.diff(labels) >= 0).all()
    assert (layer["correct"] | (layer["label"] == held_out)).all()
    assert labels[layer["example"].values].tolist() == [c for c in range(4) if of_all[c]]
    # each is an image of the run, with its own activations, in every layer
    whole = tree["layer2"].to_dataset()
    places = np.searchsorted(whole["stimulus_id"].values, layer["stimulus_id"].values)
    np.testing.assert_array_equal(whole["activation"].values[places], layer["activation"].values)
    np.testing.assert_array_equal(sample["layer1"]["stimulus_id"], layer["stimulus_id"])
    xr.testing.assert_identical(sample_activations(tree, per_class, seed)["layer1"].ds,
                                sample["layer1"].ds)  # fmt: skip


def test_the_example_is_the_image_nearest_to_the_mean_of_its_class():
    x = np.float32([[0, 0], [1, 1], [4, 4], [9, 9], [5, 5]])
    coords = {
        "stimulus_id": ("presentation", [7, 8, 9, 10, 11]),
        "label": ("presentation", [0, 0, 0, 1, 1]),
        "correct": ("presentation", [True, True, True, False, True]),
    }
    layer = xr.Dataset({"activation": (("presentation", "neuroid"), x)}, coords=coords)
    root = xr.Dataset(attrs={"categories": ["a", "b"], "held_out": None, "seed": 3})
    tree = xr.DataTree.from_dict({"/": root, "layer1": layer})
    one = sample_activations(tree, 1)["layer1"].to_dataset()
    assert one["stimulus_id"].values.tolist() == [8, 11]  # the mean of class a is 5/3
    assert one["example"].values.tolist() == [True, True]
    every = sample_activations(tree, None)
    assert every["layer1"]["stimulus_id"].values.tolist() == [7, 8, 9, 11]
    assert every["layer1"]["example"].values.tolist() == [False, True, False, True]
    assert every.attrs["counts"] == [3, 1]
    assert every.attrs["seed"] == 3
    with pytest.raises(ValueError, match="per_class: found 0"):
        sample_activations(tree, 0)


def test_ensembles_of_every_method_can_be_shown():
    assert set(found(activations())) == set(METHODS)


def test_a_map_of_many_classes_stretches_none_that_are_alike():
    layer = activations(images=100)["layer1"].to_dataset()
    labels = np.arange(layer.sizes["presentation"]) % 25
    many = layer.assign_coords(label=("presentation", labels))
    assert sorted_map(many, 25).stretched == ()
