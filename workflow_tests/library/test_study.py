import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ffensembles.config import load_config
from ffensembles.models.recipe import Recipe
from ffensembles.runs import PATTERNS, Run
from ffensembles.study.grid import FIGURES, Study

FILE = Path(__file__).parents[2] / "config.yaml"
RUN = Run("sigmoid-linf", "mnist", "BPFF", None, 3)
UNSEEN = Run("sigmoid-linf", "fashionmnist", "FF", 0, 14)


def study(**changes):
    return Study(load_config(FILE, changes))


def small(**changes):
    return study(**{"datasets": ["digits"], "seeds": [4, 7], "held_out": [], **changes})


@pytest.fixture(scope="module")
def full():
    return Study(load_config(FILE))


def test_the_full_study_is_the_grid_and_the_held_out_classes(full):
    assert len(full.whole_runs) == 2 * 3 * 15
    assert len(full.held_out_runs) == 10 * 15
    assert len(set(full.runs)) == len(full.runs) == 240
    assert RUN in full.runs
    assert UNSEEN in full.runs


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


def test_selecting(full):
    assert full.select(dataset="mnist", model="BPFF", held_out=None, seed=3) == [RUN]
    assert len(full.select(dataset="fashionmnist", model="FF")) == 15 + 150
    assert len(full.select(model=["FF", "BP"], held_out=None)) == 60
    # class 0 is not the same as no class
    assert len(full.select(held_out=0)) == 15
    assert len(full.select(held_out=[None, 0])) == 105
    with pytest.raises(AttributeError):
        full.select(dataste="mnist")


def test_held_out_lists():
    entry = {"model": "BP", "dataset": "digits", "classes": [2, 9], "seeds": [7]}
    without = small(held_out=[entry]).held_out_runs
    assert [(run.model, run.held_out, run.seed) for run in without] == [("BP", 2, 7), ("BP", 9, 7)]


def test_paths(full):
    folder = "results/runs/sigmoid-linf/mnist/BPFF/held-out-none/seed-3"
    assert full.path("weights", RUN) == f"{folder}/weights.safetensors"
    assert full.path("ensembles", RUN, method="method2") == f"{folder}/method2.zarr.zip"
    assert full.path("tidy", frame="sizes") == "results/tidy/sizes.csv"
    assert full.path("table", table="table2", ending="md") == "results/tables/table2.md"
    assert full.path("figure", figure="figure3", variant="-mnist", ending="pdf") == (
        "results/figures/figure3-mnist.pdf"
    )
    assert full.paths("metadata", [RUN]) == [f"{folder}/run.json"]
    assert full.path("report") == "results/report.html"
    assert small(results="results/demo").path("history", RUN).startswith("results/demo/runs/")


def test_a_path_needs_all_its_wildcards(full):
    with pytest.raises(KeyError, match="method"):
        full.path("ensembles", RUN)
    with pytest.raises(KeyError, match="weihgts"):
        full.path("weihgts", RUN)


def test_patterns_stay_open_where_nothing_is_said(full):
    assert full.pattern("ensembles", method="loo") == (
        "results/runs/{protocol}/{dataset}/{model}/held-out-{held_out}/seed-{seed}/loo.zarr.zip"
    )
    assert full.pattern("log", stage="tidy-{frame}") == "results/logs/tidy-{frame}.log"


def read(study, kind, path, **known):
    """The wildcards that Snakemake would find in a path."""
    pattern = re.escape(study.pattern(kind, **known))
    pattern = re.sub(
        r"\\{(\w+)\\}", lambda match: f"(?P<{match[1]}>{study.constraints[match[1]]})", pattern
    )
    return re.fullmatch(pattern, path)


def test_every_path_of_every_run_leads_back_to_it(full):
    for run in full.runs:
        for kind in ("weights", "activations", "metadata"):
            assert Run.from_wildcards(read(full, kind, full.path(kind, run)).groupdict()) == run
        path = full.path("ensembles", run, method="loo")
        assert read(full, "ensembles", path)["method"] == "loo"


def test_every_file_of_a_figure_leads_back_to_it():
    both = study(protocols=["sigmoid-linf", "relu-l2"])
    seen = set()
    for figure in FIGURES:
        for variant in both.figure_variants(figure):
            path = both.path("figure", figure=figure, variant=variant, ending="png")
            found = read(both, "figure", path)
            assert (found["figure"], found["variant"]) == (figure, variant)
            seen.add(path)
    assert len(seen) == sum(len(both.figure_variants(figure)) for figure in FIGURES)


def test_only_configured_values_match(full):
    weights = full.path("weights", RUN)
    assert read(full, "weights", weights)
    assert not read(full, "weights", weights.replace("mnist/", "digits/"))
    assert not read(full, "weights", weights.replace("-none", "-10"))


def test_a_figure_without_additions_matches_nothing_else():
    one = small()
    assert one.constraints["variant"]  # an empty one would be none for Snakemake
    assert read(one, "figure", "results/figures/figure1.pdf")
    assert not read(one, "figure", "results/figures/figure1-mnist.pdf")


def test_no_two_files_share_a_path(full):
    paths = [full.path(kind, run, stage="train") for run in full.runs for kind in PATTERNS
             if "{seed}" in PATTERNS[kind] and "{method}" not in PATTERNS[kind]]  # fmt: skip
    assert len(set(paths)) == len(paths)


def test_thousands_of_runs_take_no_time():
    everything = {"dataset": "mnist", "classes": "all", "seeds": "all"}
    held_out = [{**everything, "model": model} for model in ("FF", "BPFF", "BP")]
    start = time.process_time()
    many = study(seeds=list(range(60)), held_out=held_out)
    paths = many.paths("activations", many.runs) + many.paths("weights", many.runs)
    recipes = {many.recipe(run) for run in many.runs}
    many.constraints  # noqa: B018
    assert len(many.runs) == 2160
    assert len(set(paths)) == 4320
    assert len(recipes) == 3
    assert time.process_time() - start < 1


def test_reading_the_configuration_imports_nothing_slow():
    code = (
        "import sys; from ffensembles.config import load_config; from ffensembles.study.grid import *; "
        f"s = Study(load_config({str(FILE)!r})); s.runs; s.constraints; s.recipe(s.runs[0]); "
        "print([m for m in ('torch', 'scipy', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- what a run is made of ----------------------------------------------------------


def test_recipes(full):
    assert full.recipe(RUN) == Recipe(
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
    bp = full.recipe(full.select(model="BP")[0])
    assert (bp.theta, bp.batch_size, bp.epochs) == (None, 256, 20)


def test_what_differs_for_one_data_set_is_laid_over_the_rest():
    over = {"digits": {"widths": [20], "standardisation": "own", "FF": {"epochs": 7}}}
    one = study(
        datasets=["digits", "mnist"],
        held_out=[],
        recipes={"sigmoid-linf": {"per_dataset": over}},
        figures={name: {"layer": 1} for name in ("figure5", "figure6", "figure7")},
    )
    digits, mnist = (one.select(dataset=name, model="FF")[0] for name in ("digits", "mnist"))
    assert one.recipe(digits) == one.recipe(mnist).but(widths=(20,), epochs=7)
    assert one.data_settings(digits)["standardisation"] == "own"
    assert one.data_settings(mnist)["standardisation"] == "mnist"
    bp = one.select(dataset="digits", model="BP")[0]
    assert one.recipe(bp).epochs == 20


def test_the_later_protocol_is_as_published():
    both = study(protocols=["sigmoid-linf", "relu-l2"], datasets=["fashionmnist", "cifar10"])
    ff, wide = (
        both.recipe(both.select(protocol="relu-l2", dataset=name, model="FF")[0])
        for name in ("fashionmnist", "cifar10")
    )
    assert (ff.theta, ff.epochs, ff.batch_size, ff.goodness) == (3, 100, 1024, "l2")
    assert (wide.epochs, wide.widths) == (1200, (3072, 3072, 3072))


def test_data_settings_and_unseen_label(full):
    assert full.data_settings(RUN) == {
        "standardisation": "mnist",
        "source": None,
        "folder": "data",
        "train_images": None,
        "test_images": None,
        "split_seed": 0,
    }
    assert full.unseen_label(UNSEEN) == "own"


# --- what figures show --------------------------------------------------------------


def test_a_figure_of_one_run_is_made_for_every_data_set(full):
    variants = full.figure_variants("figure3")
    assert list(variants) == ["", "-mnist"]
    assert variants[""].datasets == ("fashionmnist",)
    assert variants[""].run == Run("sigmoid-linf", "fashionmnist", "FF", None, 0)
    assert variants["-mnist"].run == Run("sigmoid-linf", "mnist", "FF", None, 0)


def test_a_figure_of_all_runs_is_made_once(full):
    for figure in ("figure2", "figure7", "figure8"):
        assert list(full.figure_variants(figure)) == [""]
        assert full.figure_variants(figure)[""].datasets == ("mnist", "fashionmnist")
    assert full.figure_variants("figure2")[""].run is None
    assert full.figure_variants("figure8")[""].run == Run("sigmoid-linf", "mnist", "FF", None, 0)


def test_the_unseen_class_is_the_studys(full):
    variants = full.figure_variants("figure4")
    assert variants[""].run == Run("sigmoid-linf", "fashionmnist", "FF", 0, 0)
    assert list(variants) == [""]


def test_what_is_not_configured_is_stood_in_for():
    entry = {"model": "BP", "dataset": "digits", "classes": [5, 6], "seeds": [7]}
    one = small(models=["BP"], held_out=[entry])
    for figure in FIGURES:
        assert list(one.figure_variants(figure)) == [""]
    assert one.figure_variants("figure1")[""].run == Run("sigmoid-linf", "digits", "BP", None, 4)
    assert one.figure_variants("figure4")[""].run == Run("sigmoid-linf", "digits", "BP", 5, 7)


def test_the_example_is_of_the_seed_asked_for():
    assert small(figures={"seed": 7}).figure_variants("figure1")[""].run.seed == 7
    assert small().figure_variants("figure1")[""].run.seed == 4


def test_without_held_out_runs_there_is_no_figure_4():
    assert small().figure_variants("figure4") == {}


def test_each_protocol_has_its_figures():
    variants = study(protocols=["sigmoid-linf", "relu-l2"]).figure_variants("figure1")
    assert list(variants) == ["", "-fashionmnist", "-relu-l2", "-relu-l2-fashionmnist"]
    assert variants["-relu-l2"].run == Run("relu-l2", "mnist", "FF", None, 0)


# --- what there is to make ---------------------------------------------------------------------


def test_a_stage_is_the_files_of_its_parts(full):
    assert full.stage("table1") == [
        f"results/tables/table1.{ending}" for ending in ("csv", "md", "tex", "rst")
    ]
    assert [path for path in full.stage("figure3") if path.endswith(".pdf")] == [
        "results/figures/figure3.pdf",
        "results/figures/figure3-mnist.pdf",
    ]
    assert full.stage("tables") == [path for n in (1, 2, 3) for path in full.stage(f"table{n}")]
    # figures 1, 3, 5 and 6 for two data sets, 4 for the one with held-out runs, 2, 7 and 8 once
    assert len(full.stage("figures")) == 3 * (4 * 2 + 1 + 3)
    assert "results/tidy/unseen.csv" in full.stage("tidy")


def test_without_held_out_runs_nothing_of_them_is_asked_for():
    one = small()
    assert "figure4" not in one.figures
    assert "unseen" not in one.frames
    assert not any("figure4" in path or "unseen" in path for path in one.stage("figures"))


def test_what_captions_call_a_data_set(full):
    label = study(data={"train_images": 500}).label("fashionmnist")
    assert (label["title"], label["categories"][2]) == ("FashionMNIST", "Pullover")
    assert (label["n_train"], full.label("mnist")["n_train"]) == (500, None)
    assert label["epochs"] == {"FF": 1000, "BPFF": 1000, "BP": 20}
