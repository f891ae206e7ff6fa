"""What each edition shows, and of which runs."""

from dataclasses import replace

import pytest
from studies import held_out, small, study

from ffensembles.errors import ConfigError
from ffensembles.plotting.registry import KINDS
from ffensembles.publication.tables import ENDINGS, TABLE_KINDS
from ffensembles.runs import Run
from ffensembles.study import editions
from ffensembles.study.frames import applies, frame_file, measured, rows_of, scope_frames
from ffensembles.study.grid import SCOPES, whole, without


def test_an_edition_is_made_if_its_protocol_is_run(full, first):
    assert list(full.editions.all) == ["2023", "2025"]
    assert list(first.editions.all) == ["2023"]


def test_an_edition_is_not_made_if_no_seed_is_left_for_its_protocol():
    """Nor are the targets of extensions that have runs of its protocol."""
    none = {"protocol": "relu-l2", "dataset": "all", "model": "all", "seeds": []}
    for entries in ([], [{**held_out(), "dataset": "mnist"}]):
        one = study(own_seeds=[none], held_out=entries)
        assert list(one.editions.all) == ["2023"]
        files = one.extensions.targets["sleep_wake"]
        assert files == ["results/tidy/extensions/sleep_wake.parquet"]
    none = {**none, "dataset": "mnist"}
    beside = study(own_seeds=[none], sleep_wake={"datasets": ["mnist"]})
    assert "figures/2025" not in "".join(beside.extensions.targets["sleep_wake"])


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


def test_what_a_table_is_made_of_is_measured(monkeypatch, first):
    """A frame on demand may be asked for by a table alone."""
    assert first.editions.showing("probes") == []
    probing = replace(TABLE_KINDS["accuracy"], frame="probes")
    monkeypatch.setitem(TABLE_KINDS, "accuracy", probing)
    assert first.editions.showing("probes") == applies("probes", first.grid.runs)


def test_an_extension_without_a_figure_is_told(monkeypatch):
    # of a copy, since a key that is put back comes last, and the schema has them in order
    without = {name: kind for name, kind in KINDS.items() if name != "pruning"}
    monkeypatch.setattr(editions, "KINDS", without)
    with pytest.raises(ConfigError, match=r"pruning: .* write ffensembles/plotting/kinds/pruning"):
        small().editions.every_figure("2023")


def test_runs_of_a_variation_have_the_method_of_its_edition(full):
    assert full.extensions.method("sigmoid-linf--FF.theta-0.3") == ("method1", 0.95)


def test_which_runs_a_frame_has_rows_of(first):
    runs = first.grid.runs
    assert rows_of("accuracy", runs) == {"runs": [run.keys for run in runs], "complete": True}
    assert rows_of("sizes", runs) == {"runs": [run.keys for run in runs], "complete": False}
    assert rows_of("unseen", runs)["runs"] == [run.keys for run in without(runs)]
    assert rows_of("positive_weights", runs)["runs"] == [run.keys for run in whole(runs)]
    assert rows_of("rsa", runs) == rows_of("costs", runs) == {}
