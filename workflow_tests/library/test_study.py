"""The grid of runs, the paths of files, and what each edition shows."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ffensembles.config import load_config
from ffensembles.models.recipe import Recipe
from ffensembles.publication.tables import ENDINGS
from ffensembles.runs import Run
from ffensembles.study import Study
from ffensembles.study.checkout import date_alike
from ffensembles.study.frames import applies, frame_file, measured, scope_frames
from ffensembles.study.grid import SCOPES, whole, without
from ffensembles.study.paths import PATTERNS

FILE = Path(__file__).parents[2] / "config.yaml"
RUN = Run("sigmoid-linf", "mnist", "BPFF", None, 3)
UNSEEN = Run("sigmoid-linf", "fashionmnist", "FF", 0, 14)
FIRST = {"protocols": ["sigmoid-linf"]}


def study(**changes):
    return Study.of(load_config(FILE, changes))


def small(**changes):
    small = {"datasets": ["digits"], "seeds": [4, 7], "own_seeds": [], "held_out": [], **FIRST}
    return study(**{**small, **changes})


def held_out(model="FF", classes=(0,), seeds=(7,)):
    named = {"protocols": "all", "model": model, "dataset": "digits"}
    return {**named, "classes": list(classes), "seeds": list(seeds)}


@pytest.fixture(scope="module")
def full():
    return study()


@pytest.fixture(scope="module")
def first():
    return study(**FIRST)


# --- runs ----------------------------------------------------------------------------


def test_the_study_is_the_grid_and_the_held_out_classes(first, full):
    assert len(whole(first.grid.runs)) == 2 * 3 * 15
    assert len(without(first.grid.runs)) == 10 * 15
    assert len(set(first.grid.runs)) == len(first.grid.runs) == 240
    assert RUN in first.grid.runs
    assert UNSEEN in first.grid.runs
    # the later edition has ten seeds
    assert len(full.grid.runs) == 240 + 2 * 3 * 10 + 10 * 10


def test_names():
    assert RUN.name == "sigmoid-linf/mnist/BPFF/held-out-none/seed-3"
    assert UNSEEN.name == "sigmoid-linf/fashionmnist/FF/held-out-0/seed-14"


@pytest.mark.parametrize("run", [RUN, UNSEEN])
@pytest.mark.parametrize("form", [dict, lambda wildcards: SimpleNamespace(**wildcards)])
def test_a_run_is_made_again_from_its_wildcards(run, form):
    assert Run.from_wildcards(form(run.wildcards)) == run


def test_keys_are_plain():
    assert UNSEEN.keys == {
        "protocol": "sigmoid-linf",
        "dataset": "fashionmnist",
        "model": "FF",
        "held_out": 0,
        "seed": 14,
    }


def test_selecting(first):
    grid = first.grid
    assert grid.select(dataset="mnist", model="BPFF", held_out=None, seed=3) == [RUN]
    assert len(grid.select(dataset="fashionmnist", model="FF")) == 15 + 150
    assert len(grid.select(model=["FF", "BP"], held_out=None)) == 60
    # class 0 is not the same as no class
    assert len(grid.select(held_out=0)) == 15
    assert len(grid.select(held_out=[None, 0])) == 105
    with pytest.raises(AttributeError):
        grid.select(dataste="mnist")


def test_held_out_lists():
    runs = without(small(held_out=[held_out("BP", [2, 9])]).grid.runs)
    assert [(run.model, run.held_out, run.seed) for run in runs] == [("BP", 2, 7), ("BP", 9, 7)]


def test_held_out_runs_of_one_protocol():
    entry = {**held_out(), "protocols": ["relu-l2"]}
    both = small(held_out=[entry], protocols=["sigmoid-linf", "relu-l2"])
    assert {run.protocol for run in without(both.grid.runs)} == {"relu-l2"}


def test_untrained_nets_are_a_protocol_of_their_own(full):
    runs = full.grid.scope("untrained/")
    assert {run.protocol for run in runs} == {"sigmoid-linf--untrained", "relu-l2--untrained"}
    assert all(full.grid.recipe(run).epochs == 0 for run in runs)
    ours = full.grid.recipe(Run("relu-l2", "mnist", "FF", None, 0))
    assert full.grid.recipe(Run("relu-l2--untrained", "mnist", "FF", None, 0)) == ours.but(epochs=0)


def test_control_runs_vary_the_learning_rate(full):
    runs = full.grid.scope("control/")
    other = Run("relu-l2--BP.learning_rate-0.01", "mnist", "BP", None, 0)
    assert other in runs
    assert full.grid.recipe(other).learning_rate == 0.01
    assert Run("relu-l2", "mnist", "BP", None, 0) in runs  # the base is beside it
    assert not any(run.model == "FF" and "BP.learning" in run.protocol for run in runs)
    assert study(**FIRST).grid.scope("control/") == ()


RATE = {"key": "FF.learning_rate", "values": [0.001], "models": ["FF"]}


def controlled(**changes):
    control = {"seeds": [0], "settings": [RATE], "per_dataset": {}, "datasets": "all", **changes}
    return study(control={"protocol": "relu-l2", **control}).grid


def test_a_control_takes_the_studys_own_runs_where_it_changes_nothing():
    """On MNIST it trains shorter, so its base is another run there."""
    grid = controlled(per_dataset={"mnist": {"FF": {"epochs": 200}}})
    mnist, fashion = (
        [run for run in grid.scope("control/") if run.dataset == name]
        for name in ("mnist", "fashionmnist")
    )
    assert {run.protocol for run in fashion} == {"relu-l2", "relu-l2--FF.learning_rate-0.001"}
    assert {run.protocol for run in mnist} == {"relu-l2--base", "relu-l2--FF.learning_rate-0.001"}
    own = grid.recipe(Run("relu-l2", "mnist", "FF", None, 0))
    assert own.epochs == 1200
    base = grid.recipe(Run("relu-l2--base", "mnist", "FF", None, 0))
    assert base == own.but(epochs=200)
    slow = grid.recipe(Run("relu-l2--FF.learning_rate-0.001", "mnist", "FF", None, 0))
    assert slow == base.but(learning_rate=0.001)
    assert all(run.held_out is None for run in (*mnist, *fashion))


def test_a_control_is_of_the_models_and_data_sets_that_it_concerns():
    grid = controlled(datasets=["fashionmnist"])
    assert {(run.dataset, run.model) for run in grid.scope("control/")} == {("fashionmnist", "FF")}


def test_the_controls_of_the_configuration(full):
    """The base of BP is the study's own on both data sets; names of runs that are kept."""
    protocols = {(run.dataset, run.model, run.protocol) for run in full.grid.scope("control/")}
    assert ("mnist", "BP", "relu-l2") in protocols
    assert {one for _, model, one in protocols if model == "FF"} >= {
        "relu-l2", "relu-l2--base", "relu-l2--FF.learning_rate-0.001",
        "relu-l2--FF.learning_rate-0.0001",
    }  # fmt: skip
    penalised = [run for run in full.grid.scope("control/") if "l1_penalty" in run.protocol]
    assert {full.grid.recipe(run).l1_penalty for run in penalised} == {1e-8, 1e-7, 1e-6}


def test_thousands_of_runs_take_little_work(monkeypatch):
    everything = {"protocols": "all", "dataset": "mnist", "classes": "all", "seeds": "all"}
    entries = [{**everything, "model": model} for model in ("FF", "BPFF", "BP")]
    many = study(seeds=list(range(60)), held_out=entries, **FIRST)
    calls = []
    real = Recipe.from_json.__func__
    count = classmethod(lambda cls, content: calls.append(1) or real(cls, content))
    monkeypatch.setattr(Recipe, "from_json", count)
    paths = many.paths.each("activations", many.grid.runs) + many.paths.each(
        "weights", many.grid.runs
    )
    recipes = {many.grid.recipe(run) for run in many.grid.runs}
    assert len(many.grid.runs) == 2160
    assert len(set(paths)) == 4320
    assert len(recipes) == 3
    assert len(calls) == 6  # one for each model and data set, not for each run


def test_reading_the_configuration_imports_nothing_slow():
    code = (
        "import sys; from ffensembles.config import load_config; "
        "from ffensembles.study import Study; "
        f"s = Study.of(load_config({str(FILE)!r})); s.grid.recipe(s.grid.runs[0]); "
        "s.editions.targets; s.editions.constraints; "
        "slow = ('torch', 'scipy', 'matplotlib', 'seaborn', 'sklearn', 'statsmodels'); "
        "print([m for m in slow if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- paths ---------------------------------------------------------------------------


def test_paths(full):
    folder = "results/runs/sigmoid-linf/mnist/BPFF/held-out-none/seed-3"
    one = full.paths.one
    assert one("weights", RUN) == f"{folder}/weights.safetensors"
    assert one("ensembles", RUN, method="method2") == f"{folder}/method2.zarr.zip"
    assert one("frame", RUN, frame="sizes") == f"{folder}/frames/sizes.parquet"
    assert one("tidy", file="sizes.csv") == "results/tidy/sizes.csv"
    assert one("table", edition="2023", table="table2", ending="md") == (
        "results/tables/2023/table2.md"
    )
    assert (
        one("figure", edition="2025", figure="figure3", variant="-mnist", ending="pdf")
        == "results/figures/2025/figure3-mnist.pdf"
    )
    assert full.paths.each("metadata", [RUN]) == [f"{folder}/run.json"]
    assert small(results="results/demo").paths.one("history", RUN).startswith("results/demo/runs/")


def test_a_path_needs_all_its_wildcards(full):
    with pytest.raises(KeyError, match="method"):
        full.paths.one("ensembles", RUN)
    with pytest.raises(KeyError, match="weihgts"):
        full.paths.one("weihgts", RUN)


def test_patterns_stay_open_where_nothing_is_said(full):
    assert full.paths.pattern("ensembles", method="loo") == (
        "results/runs/{protocol}/{dataset}/{model}/held-out-{held_out}/seed-{seed}/loo.zarr.zip"
    )
    assert full.paths.pattern("log", stage="tidy-{frame}") == "results/logs/tidy-{frame}.log"


def read(study, kind, path, **known):
    """The wildcards that Snakemake would find in a path."""
    constraints = {**study.grid.constraints, **study.editions.constraints, "ending": r"[a-z]+"}
    pattern = re.escape(study.paths.pattern(kind, **known))
    pattern = re.sub(
        r"\\{(\w+)\\}", lambda match: f"(?P<{match[1]}>{constraints[match[1]]})", pattern
    )
    return re.fullmatch(pattern, path)


def test_every_path_of_every_run_leads_back_to_it(full):
    runs = (*full.grid.runs, *full.grid.scope("control/"), *full.grid.scope("untrained/"))
    one_of_each = {replace(run, seed=0): run for run in runs}  # a seed is a number in any path
    for run in one_of_each.values():
        for kind in ("weights", "activations", "metadata"):
            found = read(full, kind, full.paths.one(kind, run))
            assert Run.from_wildcards(found.groupdict()) == run
        path = full.paths.one("ensembles", run, method="loo")
        assert read(full, "ensembles", path)["method"] == "loo"


def test_every_file_of_a_figure_leads_back_to_it(full):
    seen = []
    for edition in full.editions.all:
        for figure in full.editions.figures(edition):
            for variant in full.editions.variants(edition, figure):
                named = {"edition": edition, "figure": figure, "variant": variant}
                path = full.paths.one("figure", **named, ending="png")
                found = read(full, "figure", path)
                assert {key: found[key] for key in named} == named
                seen.append(path)
    assert len(seen) == len(set(seen))


def test_only_configured_values_match(full):
    weights = full.paths.one("weights", RUN)
    assert read(full, "weights", weights)
    assert not read(full, "weights", weights.replace("mnist/", "digits/"))
    assert not read(full, "weights", weights.replace("-none", "-10"))


def test_no_two_files_share_a_path(full):
    kinds = [k for k in PATTERNS if "{seed}" in PATTERNS[k] and "{method}" not in PATTERNS[k]]
    paths = [full.paths.one(kind, run, stage="training", frame="sizes",
                            extension="e")
             for run in full.grid.runs for kind in kinds]  # fmt: skip
    assert len(set(paths)) == len(paths)


# --- what a run is made of ----------------------------------------------------------


def test_recipes(full):
    assert full.grid.recipe(RUN) == Recipe(
        model="BPFF",
        widths=(784, 784, 784),
        activation="sigmoid",
        goodness="linf",
        normalisation="linf",
        normalise_input=True,
        label_value="dataset",
        prediction="goodness",
        negatives="once",
        held_out_negatives="exclude",
        theta=1.5,
        learning_rate=0.01,
        epochs=1000,
        batch_size=None,
    )
    bp = full.grid.recipe(full.grid.select(model="BP", protocol="sigmoid-linf")[0])
    assert (bp.theta, bp.batch_size, bp.epochs) == (None, 256, 20)


def test_what_differs_for_one_data_set_is_laid_over_the_rest():
    over = {"digits": {"widths": [20], "standardisation": "own", "FF": {"epochs": 7}}}
    deep = {name: {"layer": 1} for name in ("figure5", "figure6", "figure7")}
    one = study(
        datasets=["digits", "mnist"],
        held_out=[],
        recipes={"sigmoid-linf": {"per_dataset": over}},
        editions={"2023": {"figures": deep}},
        **FIRST,
    ).grid
    digits, mnist = (one.select(dataset=name, model="FF")[0] for name in ("digits", "mnist"))
    assert one.recipe(digits) == one.recipe(mnist).but(widths=(20,), epochs=7)
    assert one.images(digits)["standardisation"] == "own"
    assert one.images(mnist)["standardisation"] == "mnist"
    bp = one.select(dataset="digits", model="BP")[0]
    assert one.recipe(bp).epochs == 20


def test_every_run_of_every_scope_has_a_block(full):
    grid = full.grid
    beside = {run for scope in SCOPES for run in grid.scope(scope)}
    beside |= {*grid.of_sweep(grid.config.sleep_wake)}
    assert any(run.protocol.endswith("--base") for run in beside)
    for run in beside:
        assert str(run.seed) in grid.block(run).split("-")


def test_the_later_protocol_is_as_published():
    grid = study(datasets=["fashionmnist", "cifar10", "svhn"], held_out=[]).grid
    ff, wide, end_to_end = (
        grid.recipe(grid.select(protocol="relu-l2", dataset=name, model=model)[0])
        for name, model in (("fashionmnist", "FF"), ("cifar10", "FF"), ("svhn", "BPFF"))
    )
    assert (ff.theta, ff.epochs, ff.batch_size, ff.goodness) == (3, 100, 1024, "l2")
    assert (ff.negatives, ff.widths) == ("pooled", (1000, 1000, 1000))
    assert (wide.epochs, wide.widths, wide.learning_rate) == (1000, (3072, 3072, 3072), 1e-4)
    assert (end_to_end.epochs, end_to_end.batch_size) == (200, 2048)
    svhn = grid.images(grid.select(dataset="svhn", protocol="relu-l2")[0])
    assert svhn["standardisation"] == "channel"


def test_images_and_unseen_label(full):
    assert full.grid.images(RUN) == {
        "standardisation": "mnist",
        "train_images": None,
        "test_images": None,
        "split_seed": 0,
    }
    assert full.grid.unseen_label(UNSEEN) == "own"


# --- what editions show --------------------------------------------------------------


def test_an_edition_is_made_if_its_protocol_is_run(full, first):
    assert list(full.editions.all) == ["2023", "2025"]
    assert list(first.editions.all) == ["2023"]


def test_a_figure_of_one_run_is_made_for_every_data_set(full):
    variants = full.editions.variants("2023", "figure3")
    assert list(variants) == ["", "-mnist"]
    assert variants[""].datasets == ("fashionmnist",)
    assert variants[""].run == Run("sigmoid-linf", "fashionmnist", "FF", None, 0)
    assert variants["-mnist"].run == Run("sigmoid-linf", "mnist", "FF", None, 0)
    later = full.editions.variants("2025", "figure3")
    assert later[""].run == Run("relu-l2", "fashionmnist", "FF", None, 0)


def test_a_figure_of_all_runs_is_made_once(full):
    for figure in ("figure2", "figure7", "figure8", "curves"):
        variants = full.editions.variants("2023", figure)
        assert list(variants) == [""]
        assert variants[""].datasets == ("mnist", "fashionmnist")
    assert full.editions.variants("2023", "figure2")[""].run is None
    example = full.editions.variants("2023", "figure8")[""].run
    assert example == Run("sigmoid-linf", "mnist", "BP", None, 0)


def test_the_unseen_class_is_the_studys(full):
    for edition, label in (("2023", 0), ("2025", 5)):
        variants = full.editions.variants(edition, "figure4")
        assert list(variants) == [""]
        assert (variants[""].run.held_out, variants[""].run.seed) == (label, 0)


def test_what_is_not_configured_is_replaced():
    one = small(models=["BP"], held_out=[held_out("BP", [5, 6])]).editions
    for figure in one.figures("2023"):
        assert list(one.variants("2023", figure)) == [""]
    figure1, figure4 = (one.variants("2023", name)[""].run for name in ("figure1", "figure4"))
    assert figure1 == Run("sigmoid-linf", "digits", "BP", None, 4)
    assert figure4 == Run("sigmoid-linf", "digits", "BP", 5, 7)


def test_the_example_is_of_the_seed_asked_for():
    seven = small(editions={"2023": {"seed": 7}}).editions
    assert seven.variants("2023", "figure1")[""].run.seed == 7
    assert small().editions.variants("2023", "figure1")[""].run.seed == 4


def test_without_held_out_runs_there_is_no_figure_of_them():
    one = small()
    assert "figure4" not in one.editions.figures("2023")
    assert "figure4" not in one.editions.targets
    assert "unseen" not in scope_frames("", one.grid.runs)


def test_targets_are_named_by_edition(full):
    targets = full.editions.targets
    assert targets["figure3"] == targets["figure3_2023"] != targets["figure3_2025"]
    assert {f"figure{n}_2025" for n in range(1, 6)} <= set(targets)
    assert targets["table4"] == targets["table4_2025"]  # the first edition that has one
    alone = study(protocols=["relu-l2"]).editions.targets
    assert alone["figure3"] == alone["figure3_2025"]


def test_a_null_entry_leaves_a_figure_out():
    one = small(editions={"2023": {"figures": {"figure5": None}}})
    assert "figure5" not in one.editions.targets


def test_files_of_tables_and_figures(full, first):
    assert full.editions.table_files("2023", "table1") == [
        f"results/tables/2023/table1.{ending}" for ending in ENDINGS
    ]
    # figures 1, 3, 5 and 6 for two data sets, 4 for the one with held-out runs, four of all runs
    assert len(first.editions.every("figures")) == 3 * (4 * 2 + 1 + 4)
    assert len(first.editions.every("tables")) == len(ENDINGS) * 3


def test_what_captions_call_a_data_set(full):
    label = study(images={"train_images": 500}).editions.label("2023", "fashionmnist")
    assert (label["title"], label["categories"][2]) == ("FashionMNIST", "Pullover")
    assert (label["n_train"], full.editions.label("2023", "mnist")["n_train"]) == (500, None)
    assert label["epochs"] == {"FF": 1000, "BPFF": 1000, "BP": 20}
    assert full.editions.label("2025", "fashionmnist")["epochs"]["FF"] == 100


# --- frames across runs --------------------------------------------------------------


def test_frames_of_each_scope(full):
    frames = {scope: scope_frames(scope, full.grid.scope(scope)) for scope in SCOPES}
    assert {"accuracy", "history", "sizes", "sharing", "sparsity", "unseen"} <= set(frames[""])
    assert set(frames["shuffled/"]) == {"sizes", "sharing"}
    assert "accuracy" not in frames["untrained/"]
    assert "positive_weights_by_unit" not in frames["untrained/"]


def test_frames_on_demand_are_of_the_runs_whose_edition_shows_them(full, first):
    """Results of 2023 that are kept need nothing new."""
    for scope in SCOPES:
        assert not {"dissimilarities", "probes", "rsa"} & set(
            scope_frames(scope, full.grid.scope(scope))
        )
    shown = full.editions.showing("rsa")
    assert shown == full.editions.showing("dissimilarities")
    assert {run.protocol for run in shown} == {"relu-l2"}
    assert all(run.held_out is None for run in shown)
    probed = full.editions.showing("probes")
    assert probed == without(full.grid.select(protocol="relu-l2"))
    assert first.editions.showing("rsa") == first.editions.showing("probes") == []


def test_a_figure_of_control_runs_is_of_the_data_sets_that_have_some(full):
    assert full.editions.variants("2025", "sparsity_accuracy")[""].datasets == (
        "mnist", "fashionmnist",
    )  # fmt: skip
    of_fashion = study(control={"datasets": ["fashionmnist"]}).editions
    (variant,) = of_fashion.variants("2025", "sparsity_accuracy").values()
    assert variant.datasets == ("fashionmnist",)
    assert "sparsity_accuracy" not in study(control={"settings": []}).editions.figures("2025")


def test_a_figure_of_an_extension_with_runs_of_its_own_is_of_their_data_sets():
    of_fashion = study(sleep_wake={"datasets": ["fashionmnist"]}).editions
    assert of_fashion.variants("2025", "sleep_wake")[""].datasets == ("fashionmnist",)
    assert len(of_fashion.variants("2025", "causality")[""].datasets) > 1


def test_a_file_names_its_frame():
    for frame in ("sizes", "sharing", "positive_weights_by_unit", "accuracy"):
        assert measured(frame_file(frame)) == frame


def test_a_frame_is_of_the_runs_that_it_can_be_measured_on(first):
    assert applies("unseen", first.grid.runs) == without(first.grid.runs)
    assert applies("positive_weights", first.grid.runs) == whole(first.grid.runs)
    assert applies("sizes", first.grid.runs) == list(first.grid.runs)


# --- dates of a checkout -------------------------------------------------------------


def git(folder, *words):
    named = ["-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run(["git", "-C", folder, *named, *words], check=True, capture_output=True)


def test_kept_results_of_a_checkout_are_dated_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init")
    results = tmp_path / "kept"
    results.mkdir()
    for place, name in enumerate(("old", "new", "changed")):
        (results / name).write_text(name)
        os.utime(results / name, (1000 + place, 1000 + place))
    git(tmp_path, "add", "kept")
    git(tmp_path, "commit", "-m", "kept")
    (results / "changed").write_text("changed since")
    (results / "untracked").write_text("made here")
    dates = {name: (results / name).stat().st_mtime for name in ("changed", "untracked")}
    date_alike(tmp_path, ["kept"])
    assert (results / "old").stat().st_mtime == (results / "new").stat().st_mtime
    assert {name: (results / name).stat().st_mtime for name in dates} == dates

    os.utime(results / "old", (5000, 5000))
    date_alike(tmp_path, ["kept"])  # once a commit
    assert (results / "old").stat().st_mtime == 5000
