"""Tables hold our means beside the published values, and files that can be read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ffensembles.analyses.tidy import whole_numbers
from ffensembles.errors import StoreError
from ffensembles.publication.editions import look_up
from ffensembles.publication.tables import (
    TABLE_KINDS,
    Sizes,
    accuracy_table,
    latex,
    markdown,
    positive_weights_table,
    sizes_table,
    sparsity_table,
    write_table,
)

PLAIN = {"protocol": "sigmoid-linf", "held_out": None}
TITLES = {"mnist": "MNIST", "digits": "digits"}


def make_accuracy() -> pd.DataFrame:
    rows = [
        {
            **PLAIN,
            "dataset": dataset,
            "model": model,
            "seed": seed,
            "layer": layer,
            "accuracy": value,
        }
        for dataset in ("digits", "mnist")
        for model in ("BP", "FF")
        for seed, value in enumerate((0.8, 0.9))
        for layer, value in ((0, value), (1, 0.1))
    ]
    rows.append({**rows[0], "held_out": 3, "accuracy": 0.0})
    return whole_numbers(pd.DataFrame(rows))


def make_sizes() -> pd.DataFrame:
    rows = [
        {
            **PLAIN, "dataset": "mnist", "model": model, "seed": seed, "layer": layer,
            "category": category, "method": "method1", "quantile": quantile, "units": 784,
            "size": np.nan if (model, category) == ("FF", 1) else size,
            "floor": 784 * (1 - quantile), "lost": (model, category) == ("FF", 1),
        }
        for model, size in (("FF", 2.0), ("BP", 39.0))
        for seed in (0, 1, 2)
        for layer in (1, 2)
        for category in (0, 1)
        for quantile in (0.9, 0.95)
    ]  # fmt: skip
    rows.append({**rows[0], "method": "method2", "quantile": np.nan, "size": 1e6})
    return whole_numbers(pd.DataFrame(rows))


def test_table1_is_the_studys_layout_with_its_values() -> None:
    wide = accuracy_table(make_accuracy(), titles=TITLES).wide()
    assert wide.columns.tolist() == ["Model", "Source", "digits", "MNIST"]
    assert wide.Model.tolist() == ["FF", "FF", "BP", "BP"]
    assert wide.MNIST.tolist() == [
        "0.850 ± 0.0500 (2)", "0.930 ± 0.0010", "0.850 ± 0.0500 (2)", "0.770 ± 0.0760",
    ]  # fmt: skip
    assert wide.digits.tolist() == ["0.850 ± 0.0500 (2)", "—"] * 2


def test_table2_says_floor_and_lost_categories() -> None:
    table = sizes_table(make_sizes(), titles=TITLES)
    wide = table.wide().set_index(["Model", "Source"])
    assert wide.loc[("FF", "here"), "MNIST layer 1"] == "2.0 ± 0.00 (3)"
    assert wide.loc[("FF", "published"), "MNIST layer 2"] == "5.5 ± 0.30"
    assert wide.loc[("BP", "here"), "MNIST layer 1"] == "39.0 ± 0.00 (3) †"
    assert wide.loc[("BP", "published"), "MNIST layer 1"] == "287.7 ± 7.82"
    assert table.cells.n_missing.tolist() == [3, 3, 0, 0]
    assert "39.2 of 784" in table.note
    assert "6 of 24 ensembles are missing" in table.note
    # the study printed sizes at one quantile only
    other = sizes_table(make_sizes(), Sizes(quantile=0.9))
    assert other.cells.published.isna().all()
    assert "78.4 of 784" in other.note


def test_table2_marks_published_values_on_the_floor() -> None:
    sizes = make_sizes()
    sizes["layer"] += 1  # layers 2 and 3
    cells = sizes_table(sizes).cells.set_index(["model", "layer"])
    assert cells.published_on_floor.to_dict() == {
        ("FF", 2): False, ("FF", 3): False, ("BP", 2): False, ("BP", 3): True,
    }  # fmt: skip
    wider = sizes_table(sizes.assign(units=1000, floor=50.0)).cells.set_index(["model", "layer"])
    assert wider.published_on_floor.to_dict() == cells.published_on_floor.to_dict()


def test_table3_beside_the_editions_own_values() -> None:
    row = {**PLAIN, "dataset": "mnist", "model": "BPFF", "positive": 0.5, "seed": 0, "layer": 3}
    rows = whole_numbers(pd.DataFrame([row]))
    wide = positive_weights_table(rows).wide()
    assert wide["Model"].tolist() == ["BP/FF"] * 2
    assert wide["mnist layer 3"].tolist() == ["0.500 (1)", "0.490"]
    # the later edition prints none, and an edition of one's own has none
    for edition in ("2025", "mine"):
        later = positive_weights_table(rows, look_up=look_up(edition)).wide()
        assert later["mnist layer 3"].tolist() == ["0.500 (1)", "—"]


def test_sizes_by_a_method_without_a_quantile() -> None:
    sizes = make_sizes()
    loo = sizes[sizes["quantile"].eq(0.9)].assign(method="loo", quantile=np.nan, floor=np.nan)
    table = sizes_table(pd.concat([sizes, loo]), Sizes(method="loo"))  # which has no quantile
    assert table.cells["mean"].tolist() == [2.0, 2.0, 39.0, 39.0]
    assert table.cells["published"].isna().all()
    assert "by LOO." in table.note
    assert "floor" not in table.note


def test_sparsity_says_how_many_images_are_silent() -> None:
    rows = [
        {**PLAIN, "protocol": "relu-l2", "dataset": "fashionmnist", "model": "FF", "seed": seed,
         "layer": 1, "category": category, "sparsity": value, "silent": 3, "n_presentations": 100}
        for seed, value in ((0, 0.8), (1, 0.9))
        for category in (None, 4)
    ]  # fmt: skip
    table = sparsity_table(whole_numbers(pd.DataFrame(rows)), look_up=look_up("2025"))
    assert table.wide().iloc[:, 2].tolist() == ["0.850 ± 0.0500 (2)", "0.829"]
    assert "6 of 200" in table.note


def test_every_kind_has_parameters_that_name_it() -> None:
    for name, kind in TABLE_KINDS.items():
        assert kind.parameters().kind == name


def test_an_all_missing_cell_is_a_dash() -> None:
    sizes = make_sizes().assign(size=np.nan)
    assert set(sizes_table(sizes).wide().query("Source == 'here'").iloc[:, 2]) == {"—"}


def test_files(tmp_path: Path) -> None:
    table = sizes_table(make_sizes())
    paths = write_table(table, tmp_path / "tables" / "table2")
    endings = ["csv", "md", "tex", "html", "rst"]
    assert [path.name for path in paths] == [f"table2.{ending}" for ending in endings]
    page = paths[3].read_text()
    assert (page.count("<tr>"), page.count("<th>")) == (1 + 4, table.wide().shape[1])
    assert "5 %" in page
    cells = pd.read_csv(paths[0])
    assert cells.shape == table.cells.shape
    assert cells["published"].tolist() == pytest.approx([2.7, 5.5, 287.7, 133.4])
    lines = markdown(table).splitlines()
    pipes = {line.count("|") for line in lines if line.startswith("|")}
    assert pipes == {5}
    text = latex(table)
    assert text.count(r"\\") == 1 + 4
    assert text.count("{") == text.count("}")
    assert not set(text) & set("±†—")
    assert r"5 \%" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {row.count("&") for row in rows} == {3}


def test_a_method_that_was_not_measured_is_told() -> None:
    with pytest.raises(StoreError, match="sizes: has rows of method1, method2, none of loo; "):
        sizes_table(make_sizes(), Sizes(method="loo"))
