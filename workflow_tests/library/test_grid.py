"""The grid of runs, and what each is made of."""

from types import SimpleNamespace

import pytest
from importing import brought_along
from studies import FILE, FIRST, RUN, UNSEEN, held_out, small, study

from ffensembles.models.recipe import Recipe
from ffensembles.runs import Run
from ffensembles.study.grid import SCOPES, SECTIONS, whole, without


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


def test_each_section_has_the_models_of_its_own_settings():
    """A sweep and a control that vary one key alike: their runs have the same names."""

    def section(model):
        setting = {"key": "normalise_input", "values": [False], "models": [model]}
        return {"protocol": "relu-l2", "seeds": [0], "per_dataset": alike, "settings": [setting]}

    alike = {"mnist": {"FF": {"epochs": 200}, "BPFF": {"epochs": 100}}}
    grid = study(sweep=section("FF"), control=section("BPFF")).grid
    assert {run.model for run in grid.scope("sweep/")} == {"FF"}
    assert {run.model for run in grid.scope("control/")} == {"BPFF"}


def test_widths_can_be_varied():
    """No name of a run, a path and a wildcard, has brackets or commas."""
    setting = {"key": "widths", "values": [[500, 300, 100]], "models": ["FF"]}
    grid = controlled(settings=[setting], datasets=["fashionmnist"])
    (run,) = (run for run in grid.scope("control/") if "--" in run.protocol)
    assert run.protocol == "relu-l2--widths-500-300-100"
    assert grid.recipe(run).widths == (500, 300, 100)


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
        "from ffensembles.config import load_config; from ffensembles.study import Study; "
        f"s = Study.of(load_config({str(FILE)!r})); s.grid.recipe(s.grid.runs[0]); "
        "s.editions.targets; s.editions.constraints"
    )
    slow = ("torch", "zarr", "scipy", "matplotlib", "seaborn", "sklearn", "statsmodels")
    assert brought_along(code, slow) == []


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
    ff = full.grid.recipe(full.grid.select(model="FF", protocol="sigmoid-linf")[0])
    assert (ff.negatives, ff.epochs, ff.theta) == ("pooled", 1000, 0.5)
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


def test_the_studys_own_runs_share_no_job_with_those_of_a_section():
    """Control and sweep have seeds 0 to 2, which nobody who asks for the study has asked for."""
    one = study(seeds=[3, 4], own_seeds=[], held_out=[], training={"runs_per_job": 5})
    blocks = {one.grid.block(run) for run in one.grid.runs}
    assert blocks == {"3-4"}
    beside = {run for section in SECTIONS for run in one.grid.of_section(section)}
    assert {one.grid.block(run) for run in beside - {*one.grid.runs}} & {"0-1", "0-1-2"}


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
