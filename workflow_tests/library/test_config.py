import subprocess
import sys
from collections import OrderedDict
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.config import Config, load_config, load_merged, merged
from ffensembles.config.describe import keys
from ffensembles.datasets import DATASETS
from ffensembles.errors import ConfigError
from ffensembles.study.grid import Grid

ROOT = Path(__file__).parents[2]
FILE = ROOT / "config.yaml"
OVERLAYS = sorted(ROOT.glob("profiles/*/study.yaml"))
WHOLE = yaml.safe_load(FILE.read_text())
RECIPE = "recipes.sigmoid-linf"
FIGURES, TABLES = "editions.2023.figures", "editions.2023.tables"


OPEN = (".per_dataset", ".tables", ".figures")
"""Groups whose keys the schema does not name: parts of recipes, and entries by kind."""


def nested(path, value):
    """A mapping that holds `value` at a dotted path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def said_of(*overlays):
    with pytest.raises(ConfigError) as caught:
        load_config(WHOLE, *overlays)
    return str(caught.value).splitlines()


def of(path, value):
    lines = said_of(nested(path, value))
    assert len(lines) == 1, lines
    return lines[0]


def test_the_file_at_the_root_is_a_study():
    config = load_config(FILE)
    assert config.seeds == list(range(15))
    assert config.recipes["sigmoid-linf"].FF.theta == 0.5


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.parent.name)
def test_every_overlay_that_changes_what_is_found_has_results_of_its_own(overlay):
    config = load_config(FILE, overlay)
    if yaml.safe_load(overlay.read_text()).keys() == {"training"}:  # how, not what
        assert (config.name, config.results) == ("full", "results")
        return
    assert config.name == overlay.parent.name
    assert config.results == f"results/{overlay.parent.name}"


def test_the_study_of_colour_images_and_relu_can_be_configured():
    config = load_config(FILE, {"protocols": ["relu-l2"], "datasets": [*DATASETS], "held_out": []})
    assert config.protocols == ["relu-l2"]


LATER = ("ensembles.", "extension", "training.readings", "sleep_wake")
"""Groups with defaults, so that configurations written before they were there stay readable."""


def test_the_models_have_no_defaults():
    """config.yaml is the one place of defaults: leaving out any key of it is a problem."""
    for path, _, _ in keys():
        if "<" in path or "[]" in path or path.startswith(LATER):
            continue
        content = deepcopy(WHOLE)
        *groups, last = path.split(".")
        group = content
        for key in groups:
            group = group[key]
        del group[last]
        with pytest.raises(ConfigError, match=rf"{last}: missing"):
            load_config(content)


@pytest.mark.parametrize("key", ["extensions", "extension_settings", "sleep_wake"])
def test_a_problem_is_told_where_a_key_that_may_be_missing_is(key):
    content = {name: group for name, group in WHOLE.items() if name != key}
    with pytest.raises(ConfigError, match=r"^config.yaml: seeds\[0\]: found -1; .*from 0$"):
        load_config(content, {"seeds": [-1], "held_out": []})


def test_every_key_of_the_file_is_commented():
    lines = FILE.read_text().splitlines()
    waiting = [(yaml.compose(FILE.read_text()), "")]
    seen = set()
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += [(inner, path) for inner in node.value]
        if not isinstance(node, yaml.MappingNode) or path.endswith(OPEN):
            continue
        for key, value in node.value:
            line = key.start_mark.line
            assert "#" in lines[line] or lines[line - 1].lstrip().startswith("#"), lines[line]
            seen.add(f"{path}.{key.value}".removeprefix("."))
            waiting.append((value, f"{path}.{key.value}"))
    described = {
        path.replace("<protocol>", protocol).replace("<edition>", edition).replace("[]", "")
        for path, _, _ in keys()
        for protocol in WHOLE["recipes"]
        for edition in WHOLE["editions"]
    }
    named = {f"{group}.{name}" for group in ("recipes", "editions") for name in WHOLE[group]}
    assert described | named == seen


def test_every_key_is_described():
    for path, description, _ in keys():
        assert len(description) > 1, path


def test_describing_and_checking_from_the_command_line():
    run = [sys.executable, "-m", "ffensembles.config"]
    described = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "training.engine: implementation of training (fast, plain)" in described.stdout
    checked = subprocess.run(
        [*run, "config.yaml", "profiles/dgx/profile.yaml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert checked.returncode == 1
    assert "profiles/dgx/profile.yaml: default-resources: unknown key" in checked.stderr
    assert "Traceback" not in checked.stderr


# --- what is wrong, said in one line -----------------------------------------------------------


def test_unknown_key_names_the_nearest():
    assert of("results_folder", "x").startswith(
        "config.yaml: results_folder: unknown key; allowed: "
    )
    assert of("trainng", {}).endswith("; did you mean 'training'?")
    line = of(f"{RECIPE}.FF.thetta", 1.0)
    assert line == (
        f"config.yaml: {RECIPE}.FF.thetta: unknown key; "
        "allowed: learning_rate, epochs, batch_size, theta, negatives, phases, loss; "
        "did you mean 'theta'?"
    )


def test_a_misspelt_key_is_one_problem_not_two():
    content = deepcopy(WHOLE)
    recipe = content["recipes"]["sigmoid-linf"]["FF"]
    recipe["thetta"] = recipe.pop("theta")
    with pytest.raises(ConfigError) as caught:
        load_config(content)
    assert len(str(caught.value).splitlines()) == 1
    assert "did you mean 'theta'?" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "found", "allowed"),
    [
        ("name", 3, "3", "a text that is not empty"),
        ("name", "", "''", "a text that is not empty"),
        ("results", "a{b}", "'a{b}'", "a folder's path, written out: no braces, ~ or $"),
        ("results", "~/x", "'~/x'", "a folder's path, written out: no braces, ~ or $"),
        ("data.folder", "$X/y", "'$X/y'", "a folder's path, written out: no braces, ~ or $"),
        ("training.runs_per_job", 100, "100", "a whole number from 1 and up to 32"),
        ("images.train_images", "many", "'many'", "a whole number from 1 or null"),
        ("training.block_size", 1.5, "1.5", "a whole number from 1"),
        ("training.block_size", True, "true", "a whole number from 1"),
        ("training.checkpoint_minutes", 0, "0", "a number above 0"),
        ("training.checkpoint_minutes", float("nan"), "nan", "a number above 0"),
        ("training.device", "gpu", "'gpu'", "auto, cpu, cuda"),
        ("training.precision", "tf32", "'tf32'", "float32"),
        ("training", 3, "3", "a group of the keys engine, device, precision, block_size, "
         "runs_per_job, checkpoint_minutes, record_every, dead_floor, readings"),
        ("activations.temporary", "no", "'no'", "true or false"),
        ("activations.mantissa_bits", 24, "24", "a whole number from 1 and up to 23 or null"),
        ("ensembles.method2.max_rho", 1.5, "1.5", "a number from 0 and up to 1"),
        (f"{RECIPE}.FF.epochs", 0, "0", "a whole number from 1"),
        (f"{RECIPE}.FF.theta", None, "null", "a number above 0"),
        (f"{RECIPE}.FF.learning_rate", "fast", "'fast'", "a number above 0"),
        (f"{RECIPE}.goodness", "l3", "'l3'", "linf, l2, l1"),
        (f"{RECIPE}.widths", [], "[]", "a list of at least 1, each a whole number from 2"),
        (f"{RECIPE}.widths", 784, "784", "a list of at least 1, each a whole number from 2"),
        ("seeds", [], "[]", "a list of at least 1, each a whole number from 0"),
        ("seeds", {"from": 0}, "a group of keys (from)",
         "a list of at least 1, each a whole number from 0"),
        (f"{FIGURES}.figure3.categories", [1, 2, 3], "[1, 2, 3]",
         "a list of 2, each a whole number from 0"),
    ],
)  # fmt: skip
def test_wrong_types_and_values(path, value, found, allowed):
    assert of(path, value) == f"config.yaml: {path}: found {found}; allowed: {allowed}"


def test_places_in_lists_are_named():
    assert of(f"{RECIPE}.widths", [784, 0]) == (
        f"config.yaml: {RECIPE}.widths[1]: found 0; allowed: a whole number from 2"
    )


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("seeds", [0, 1, 1], "1"),
        ("models", ["FF", "BP", "FF"], "'FF'"),
        ("datasets", ["fashionmnist", "fashionmnist"], "'fashionmnist'"),
        ("ensembles.method1.quantiles", [0.9, 0.95, 0.99, 0.9], "0.9"),
    ],
)
def test_nothing_twice(path, value, found):
    line = of(path, value)
    assert line == f"config.yaml: {path}: found {found} twice; allowed: each value once"


def test_negative_seed():
    assert of("seeds", [0, -1]) == (
        "config.yaml: seeds[1]: found -1; allowed: a whole number from 0"
    )


@pytest.mark.parametrize("quantile", [0, 1, 1.5, -0.1])
def test_quantile_outside_0_and_1(quantile):
    line = of("ensembles.method1.quantiles", [0.9, 0.95, 0.99, quantile])
    assert line == (
        f"config.yaml: ensembles.method1.quantiles[3]: found {quantile}; "
        "allowed: a number above 0 and below 1"
    )


def test_unknown_model():
    assert of("models", ["FF", "BP/FF"]) == (
        "config.yaml: models[1]: found 'BP/FF'; allowed: FF, BPFF, BP; did you mean 'BPFF'?"
    )


def test_unknown_dataset():
    assert of("datasets", ["fashionmnist", "mnits"]).startswith(
        "config.yaml: datasets[1]: found 'mnits'; allowed: digits, mnist, "
    )
    assert of("datasets", ["fashionmnist", "mnits"]).endswith("; did you mean 'mnist'?")


def test_unknown_protocol():
    assert of("protocols", ["sigmoid-inf"]) == (
        "config.yaml: protocols[0]: found 'sigmoid-inf'; allowed: sigmoid-linf, relu-l2; "
        "did you mean 'sigmoid-linf'?"
    )


@pytest.mark.parametrize("name", ["a/b", "relu-l2--wide", "relu-"])
def test_a_name_of_a_protocol_can_be_part_of_a_path_and_is_no_variation(name):
    recipe = WHOLE["recipes"]["relu-l2"]
    assert said_of({"recipes": {name: recipe}}) == [
        f"config.yaml: recipes.{name}: found '{name}'; "
        "allowed: letters, digits, points, and single hyphens between them"
    ]


def test_a_misspelt_protocol_is_not_a_new_one():
    line = of("recipes.relu-12", {"activation": "relu"})
    assert line.startswith("config.yaml: recipes.relu-12: keys missing: widths, goodness, ")
    assert line.endswith("; did you mean 'relu-l2'?")


@pytest.mark.parametrize("model", ["FF", "BPFF"])
def test_a_goodness_needs_a_threshold(model):
    content = deepcopy(WHOLE)
    del content["recipes"]["sigmoid-linf"][model]["theta"]
    with pytest.raises(ConfigError) as caught:
        load_config(content)
    assert str(caught.value) == (
        f"config.yaml: {RECIPE}.{model}.theta: missing; allowed: a number above 0"
    )


def test_back_propagation_has_no_threshold():
    assert of(f"{RECIPE}.BP.theta", 0.5) == (
        f"config.yaml: {RECIPE}.BP.theta: unknown key; allowed: learning_rate, epochs, batch_size, "
        "l1_penalty"
    )


@pytest.mark.parametrize(
    ("over", "place", "said"),
    [
        ({"mnsit": {}}, "mnsit", "found 'mnsit'; allowed: digits, mnist, "),
        (
            {"mnist": {"FF": {"thetta": 1}}},
            "mnist.FF.thetta",
            "unknown key; allowed: learning_rate",
        ),
        ({"mnist": {"BP": {"theta": 1}}}, "mnist.BP.theta", "unknown key; allowed: learning_rate"),
        ({"mnist": {"FF": {"epochs": -1}}}, "mnist.FF.epochs", "found -1; allowed: a whole number"),
        ({"mnist": {"width": [7]}}, "mnist.width", "unknown key; allowed: widths, "),
        ({"mnist": {"per_dataset": {}}}, "mnist.per_dataset", "unknown key; allowed: widths, "),
        ({"mnist": 3}, "mnist", "found 3; allowed: a group of keys"),
    ],
)
def test_what_differs_for_a_data_set_is_checked_as_the_rest(over, place, said):
    line = of(f"{RECIPE}.per_dataset", over)
    assert line.startswith(f"config.yaml: {RECIPE}.per_dataset.{place}: {said}")


ENTRY = {
    "protocols": "all",
    "model": "FF",
    "dataset": "fashionmnist",
    "classes": [0],
    "seeds": [0],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": [3, 10]}, "classes: found 10; allowed: 0 to 9, the classes of fashionmnist"),
        ({"classes": "some"}, "classes: found 'some'; allowed: all or a list of at least 1, each "
         "a whole number from 0"),
        ({"classes": [-1]}, "classes[0]: found -1; allowed: a whole number from 0"),
        ({"classes": [1, 1]}, "classes: found 1 twice; allowed: each value once"),
        ({"seeds": [0, 15]}, "seeds: found 15; allowed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, "
         "13, 14"),
        ({"dataset": "digits"}, "dataset: found 'digits'; allowed: mnist, fashionmnist"),
        ({"model": "F"}, "model: found 'F'; allowed: FF, BPFF, BP"),
        ({"klasses": [1]}, "klasses: unknown key; allowed: protocols, model, dataset, classes, "
         "seeds; did you mean 'classes'?"),
        ({"protocols": ["relu-12"]}, "protocols: found 'relu-12'; allowed: sigmoid-linf, relu-l2; "
         "did you mean 'relu-l2'?"),
    ],
)  # fmt: skip
def test_held_out_classes(change, said):
    assert of("held_out", [{**ENTRY, **change}]) == f"config.yaml: held_out[0].{said}"


def test_seeds_of_some_runs_alone():
    entry = {"protocol": "all", "model": "BPFF", "dataset": "mnist", "seeds": [7]}
    none = {**entry, "model": "BP", "seeds": []}
    rest = {"protocol": "relu-l2", "model": "all", "dataset": "all", "seeds": [5]}
    grid = Grid(load_config(FILE, {"own_seeds": [entry, none, rest], "seeds": [0, 1]}))

    def seeds(**keys):
        return {run.seed for run in grid.select(held_out=None, **keys)}

    assert seeds(model="BPFF", dataset="mnist") == {7}  # the first entry that fits
    assert seeds(model="BPFF", dataset="fashionmnist", protocol="sigmoid-linf") == {0, 1}
    assert seeds(model="BPFF", dataset="fashionmnist", protocol="relu-l2") == {5}
    assert seeds(model="BP", dataset="mnist") == set()
    line = of("own_seeds", [{**entry, "dataset": "minst"}])
    said = "config.yaml: own_seeds[0].dataset: found 'minst'; allowed: digits, mnist, "
    assert line.startswith(said)
    assert line.endswith("did you mean 'mnist'?")
    assert "found all, mnist, BPFF, which own_seeds[0] has" in of("own_seeds", [entry] * 2)


def test_held_out_of_a_model_that_is_not_run():
    line = said_of({"models": ["BP"], "held_out": [ENTRY]})[0]
    assert line == "config.yaml: held_out[0].model: found 'FF'; allowed: BP"


def test_held_out_runs_named_twice():
    line = of("held_out", [ENTRY, {**ENTRY, "classes": "all"}])
    assert line == (
        "config.yaml: held_out[1]: found class 0 with seed 0, which held_out[0] has too; "
        "allowed: each run once"
    )


@pytest.mark.parametrize("number", [9, 361])
def test_fewer_images_than_classes_or_more_than_there_are(number):
    lines = said_of(
        {"datasets": ["mnist", "digits"], "held_out": [], "images": {"test_images": number}}
    )
    assert lines == [
        f"config.yaml: images.test_images: found {number}; "
        "allowed: null or a whole number from 10, as many as classes, to 360, all that digits has"
    ]
    assert "from 10, as many as classes, to 60000, " in of("images.train_images", 60001)


def test_quantiles_that_are_not_computed():
    assert of(f"{TABLES}.table2.quantile", 0.8) == (
        f"config.yaml: {TABLES}.table2.quantile: found 0.8; "
        "allowed: 0.9, 0.95, 0.99 (ensembles.method1.quantiles)"
    )
    assert len(said_of({"ensembles": {"method1": {"quantiles": [0.99]}}})) == 4


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("seed", 15, "found 15; allowed: first, 0, 1, 2,"),
        ("figures.figure1.dataset", "minst", "found 'minst'; allowed: digits, mnist, "),
        ("figures.figure1.kind", "activty", "found 'activty'; allowed: "),
        ("figures.figure1.quantil", 0.9, "unknown key; allowed: kind, "),
        ("figures.figure1.method", "lo", "found 'lo'; allowed: "),
        ("figures.figure3.categories", [2, 10], "found 10; allowed: 0 to 9, the classes of "),
        ("figures.figure3.categories", [2, 2], "found 2 twice; allowed: each value once"),
        ("figures.figure4.held_out", 10, "found 10; allowed: 0 to 9, the classes of fashionmnist"),
        ("figures.figure5.layer", 4, "found 4; allowed: a layer from 1 to 3 (recipes.sigmoid-linf"),
        ("figures.figure8.model", "PB", "found 'PB'; allowed: FF, BPFF, BP"),
        ("tables.table9", {"kind": "sums"}, "found 'sums'; allowed: accuracy, sizes, "),
    ],
)
def test_figures_and_tables_that_cannot_be(path, value, said):
    place = f"{path}.kind" if isinstance(value, dict) else path
    assert of(f"editions.2023.{path}", value).startswith(
        f"config.yaml: editions.2023.{place}: {said}"
    )


def test_a_figure_may_show_a_data_set_that_is_not_run():
    load_config(WHOLE, {"datasets": ["digits"], "held_out": []})


@pytest.mark.parametrize(
    ("overlay", "place", "key"),
    [
        ({"editions": {2023: {"seed": 1}}}, "editions[2023]", "2023"),
        ({"editions": {2023: WHOLE["editions"]["2023"]}}, "editions[2023]", "2023"),
        ({1: {}}, "[1]", "1"),
    ],
)
def test_a_key_that_yaml_does_not_read_as_text_needs_quotes(overlay, place, key):
    said = f"found the key {key}, which is no text; write it in quotes: '{key}'"
    assert said_of(overlay) == [f"config.yaml: {place}: {said}"]


def test_null_leaves_a_figure_out():
    assert (
        load_config(WHOLE, nested(f"{FIGURES}.figure3", None)).editions["2023"].figures["figure3"]
        is None
    )


def test_a_shallow_net_has_no_figure_of_layer_3():
    lines = said_of({"recipes": {"sigmoid-linf": {"per_dataset": {"mnist": {"widths": [9, 9]}}}}})
    # FashionMNIST's net is deeper, but figure 6 is made for every data set
    assert lines == [
        f"config.yaml: {FIGURES}.figure6.layer: found 3; "
        "allowed: a layer from 1 to 2 (recipes.sigmoid-linf.widths)"
    ]


@pytest.mark.parametrize("section", ["sweep", "control"])
def test_a_sweep_varies_what_there_is(section):
    setting = {"key": "FF.thetta", "values": [1], "models": ["FF"]}
    line = of(f"{section}.settings", [setting])
    assert line.startswith(f"config.yaml: {section}.settings[0].key: found 'FF.thetta'; allowed: ")
    line = of(f"{section}.settings", [{**setting, "key": "FF.theta", "values": [-1]}])
    said = "found -1; allowed: a number above 0"
    assert line == f"config.yaml: {section}.settings[0].values[0]: {said}"


@pytest.mark.parametrize("section", ["sweep", "control"])
def test_a_value_of_a_setting_stands_once(section):
    """Else the runs of one of the two would be dropped: they have the same names."""
    first, second = (
        {"key": "normalise_input", "values": values, "models": [model]}
        for values, model in (([False], "FF"), ([True, False], "BPFF"))
    )
    assert of(f"{section}.settings", [first, second]) == (
        f"config.yaml: {section}.settings[1].values[1]: found false, which {section}.settings[0] "
        "gives normalise_input too; allowed: each value once, for all its models"
    )


@pytest.mark.parametrize("section", ["sweep", "control"])
def test_a_sweep_is_of_data_sets_there_are(section):
    line = of(f"{section}.datasets", ["mnits"])
    assert line.startswith(f"config.yaml: {section}.datasets[0]: found 'mnits'; allowed: ")
    line = of(f"{section}.per_dataset", {"mnits": {}})
    assert line.startswith(f"config.yaml: {section}.per_dataset.mnits: found 'mnits'; allowed: ")
    line = of(f"{section}.per_dataset", {"mnist": {"FF": {"epochs": 0}}})
    assert line == (
        f"config.yaml: {section}.per_dataset.mnist.FF.epochs: found 0; "
        "allowed: a whole number from 1"
    )


@pytest.mark.parametrize(
    ("key", "value", "model"),
    [
        ("FF.theta", 0.3, "BPFF"),
        ("BP.l1_penalty", 0.1, "FF"),
        ("normalise_input", False, "BP"),
        ("goodness", "l1", "BP"),
        ("negatives", "each-epoch", "BP"),
    ],
)
def test_a_setting_concerns_its_models(key, value, model):
    own = [key.partition(".")[0]] if "." in key else []
    line = of("sweep.settings", [{"key": key, "values": [value], "models": [*own, model]}])
    assert line == (
        f"config.yaml: sweep.settings[0].models[{len(own)}]: found {model}, of which {key} changes "
        "nothing. Leave it out."
    )


def test_a_class_left_out_of_permuted_labels_changes_nothing():
    permuted = {"recipes": {"sigmoid-linf": {"FF": {"negatives": "permuted"}}}}
    sweep = {"protocols": ["sigmoid-linf"], "control": {"settings": []}}
    setting = {"key": "held_out_negatives", "values": ["include"], "models": ["FF"]}
    said = said_of(permuted, sweep | {"sweep": {"settings": [setting]}})
    assert any("changes nothing while FF.negatives is permuted" in line for line in said)
    of_other = {"sweep": {"settings": [setting | {"models": ["BPFF"]}]}}
    assert load_config(WHOLE, permuted, sweep | of_other)


def test_a_net_is_read_after_two_epochs_at_least():
    assert of("training.readings.epochs", 1) == (
        "config.yaml: training.readings.epochs: found 1; allowed: 0, or a whole number from 2"
    )
    assert load_config(WHOLE, {"training": {"readings": {"epochs": 0}}})


def test_a_published_edition_keeps_its_protocol():
    line = of("editions.2023.protocol", "relu-l2")
    assert line == (
        "config.yaml: editions.2023.protocol: found 'relu-l2'; allowed: sigmoid-linf, as it was "
        "published; an edition of your own has another name"
    )


def test_a_quantile_does_not_concern_a_method_without():
    table = {"kind": "sizes", "method": "loo", "quantile": 0.33}
    assert load_config(WHOLE, {"editions": {"2023": {"tables": {"mine": table}}}})


def test_sweep_and_control_of_one_protocol_train_alike():
    line = of("sweep.protocol", "relu-l2")
    assert line.startswith("config.yaml: control.per_dataset: found other values than in sweep")


def test_a_setting_of_two_sections_is_trained_alike():
    """A run of either has the same name; without settings in common the two may differ."""
    phases = {"key": "FF.phases", "values": ["1-1"], "models": ["FF"]}
    sections = {
        "control": {"protocol": "relu-l2", "per_dataset": {"mnist": {"FF": {"epochs": 9}}}},
        "sleep_wake": {"protocol": "relu-l2", "per_dataset": {}, "settings": [phases]},
    }
    (line,) = said_of(sections, {"control": {"settings": [phases]}})
    assert line.startswith("config.yaml: sleep_wake.per_dataset: found other values than in contr")
    other = {**phases, "values": ["3-1"]}
    load_config(WHOLE, sections, {"control": {"settings": [other]}})


def test_a_method_with_quantiles_needs_one():
    for part in (f"{TABLES}.table2", f"{FIGURES}.figure3"):
        line = of(f"{part}.quantile", None)
        assert line.startswith(
            f"config.yaml: {part}.quantile: found null; allowed: 0.9, 0.95, 0.99"
        )
    load_config(WHOLE, nested("extension_settings.causality.method", "method1"))


def test_an_edition_shows_a_seed_that_its_protocol_has():
    assert of("editions.2025.seed", 12).startswith("config.yaml: editions.2025.seed: found 12; ")
    own = [{"protocol": "sigmoid-linf", "dataset": "all", "model": "FF", "seeds": [20]}]
    load_config(WHOLE, {"own_seeds": own}, nested("editions.2023.seed", 20))


def test_all_problems_are_said_at_once():
    lines = said_of({"seeds": [-1], "datasets": ["mnits"], "models": 3, "editions": 5})
    assert {line.split(": ")[1] for line in lines} >= {"seeds[0]", "datasets[0]", "models"}
    assert not any("pydantic" in line or "input" in line.lower() for line in lines)


# --- files and layers ---------------------------------------------------------------------------


def test_exponents_are_numbers_although_yaml_reads_text(tmp_path):
    overlay = tmp_path / "study.yaml"
    overlay.write_text("recipes: {sigmoid-linf: {FF: {learning_rate: 1e-3}}}")
    assert yaml.safe_load(overlay.read_text())["recipes"]["sigmoid-linf"]["FF"] == {
        "learning_rate": "1e-3"
    }
    assert load_config(FILE, overlay).recipes["sigmoid-linf"].FF.learning_rate == 1e-3


def test_a_problem_is_said_of_the_file_it_is_in(tmp_path):
    overlay = tmp_path / "study.yaml"
    overlay.write_text("ensembles: {method1: {quantiles: [0.9, 0.99]}}\ntraining: {device: gpu}")
    with pytest.raises(ConfigError) as caught:
        load_config(FILE, overlay)
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{overlay}: training.device:") for line in lines)
    assert any(line.startswith(f"{FILE}: {TABLES}.table2.quantile:") for line in lines)


def test_a_problem_of_what_snakemake_merged_is_said_of_the_file_it_is_in(tmp_path):
    overlay = tmp_path / "study.yaml"
    overlay.write_text("training: {device: gpu}")
    whole = merged(WHOLE, {"training": {"device": "gpu"}})
    with pytest.raises(ConfigError, match=rf"^{overlay}: training\.device: found 'gpu'"):
        load_merged(whole, [FILE, overlay])
    overlay.write_text("training: {device: cpu}")
    with pytest.raises(ConfigError, match=r"^--config: training\.device: found 'gpu'"):
        load_merged(whole, [FILE, overlay])
    assert load_merged(WHOLE, [FILE, overlay]).training.device == WHOLE["training"]["device"]


def test_null_takes_away_what_single_data_sets_have(tmp_path):
    """An empty group lays nothing over what is there, as Snakemake has it."""
    control = WHOLE["control"]["per_dataset"]
    assert control
    assert load_config(WHOLE, {"control": {"per_dataset": {}}}).control.per_dataset == control
    assert load_config(WHOLE, {"control": {"per_dataset": None}}).control.per_dataset == {}
    name, *others = control
    left = load_config(WHOLE, {"control": {"per_dataset": {name: None}}}).control.per_dataset
    assert left == {other: control[other] for other in others}
    later = load_config(WHOLE, {"recipes": {"relu-l2": {"per_dataset": None}}}).recipes["relu-l2"]
    assert later.per_dataset == {}


def test_a_class_is_left_out_with_seeds_that_the_runs_on_all_classes_have():
    entry = {"protocols": "all", "model": "FF", "dataset": "mnist", "classes": [0], "seeds": [20]}
    own = {"protocol": "sigmoid-linf", "dataset": "all", "model": "FF", "seeds": [20, 21]}
    changes = {"own_seeds": [own], "held_out": [{**entry, "protocols": ["sigmoid-linf"]}]}
    grid = Grid(load_config(WHOLE, changes))
    assert [run.name for run in grid.runs if run.held_out == 0] == [
        "sigmoid-linf/mnist/FF/held-out-0/seed-20"
    ]
    with pytest.raises(ConfigError, match=r"held_out\[0\]\.seeds: found 20; allowed: 0, 1,"):
        load_config(WHOLE, {**changes, "own_seeds": []})


@pytest.mark.parametrize("written", ["results/mine/", "./results/mine", "results//mine"])
def test_a_folder_is_written_in_one_way(written):
    assert load_config(WHOLE, {"results": written}).results == "results/mine"


def test_numbers_of_the_command_line_are_numbers_although_snakemake_gives_text():
    """`--config seeds=[0,1]` arrives so."""
    assert load_config(WHOLE, {"seeds": ["0", "1"]}).seeds == [0, 1]
    assert of("seeds", ["0", "-1"]) == (
        "config.yaml: seeds[1]: found '-1'; allowed: a whole number from 0"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1,", "is no YAML in line 1"),
        ("- a", "holds no keys at its top level"),
        (None, "cannot be read"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, said):
    path = tmp_path / "study.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(FILE, path)
    assert str(caught.value).startswith(str(path))


def test_an_empty_overlay_changes_nothing(tmp_path):
    empty = tmp_path / "study.yaml"
    empty.write_text("# nothing\n")
    assert load_config(FILE, empty) == load_config(FILE)


trees = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
groups = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


@settings(deadline=None)  # of other programs on the machine
@given(groups, groups)
def test_overlays_are_laid_as_snakemake_lays_them(under, over):
    from snakemake.utils import update_config

    before = repr(under)
    ours = merged(under, over)
    assert repr(under) == before
    update_config(under, over)
    assert ours == under


def test_snakemakes_ordered_mapping_is_taken():
    assert isinstance(load_config(OrderedDict(WHOLE)), Config)
