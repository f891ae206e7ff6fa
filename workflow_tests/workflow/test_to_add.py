"""The table "to add" of the documentation, done: each thing takes the files that it says."""

from pathlib import Path

import pandas as pd
import yaml
from toy import TOY_SPEC, TOY_STEP
from workplace import Workplace

METHOD = '''
"""Strongest: a fixed number of units with the highest means."""

import numpy as np

from ffensembles.ensembles.common import by_category
from ffensembles.ensembles.registry import register
from ffensembles.runtime.keys import Count, Field, Group


class Strongest(Group):
    """Strongest: so many units with the highest means."""

    units: Count = Field(3, description="units of an ensemble")


@register("Strongest", Strongest)
def strongest(layer, units=3, *, categories=None, unseen=None):
    """Find the units with the highest means."""

    def find(x):
        mean = x.mean(axis=0)
        return {"active": mean >= np.sort(mean)[-units]}

    return by_category(layer, find, {"active": ("neuroid",)}, (categories, unseen))
'''

KIND = '''
"""How many units each layer has, as a bar chart."""

from typing import Literal

from ffensembles.plotting.registry import Needs, register
from ffensembles.runtime.keys import Field, Group


class Widths(Group):
    """Units of each layer."""

    kind: Literal["widths"] = Field("widths", description="kind of figure")


def draw(shown, parameters):
    """Draw the bars."""
    from ffensembles.plotting.style import new_figure

    figure = new_figure(3.4, 2)
    units = shown.frames["sizes"].groupby("layer").units.first()
    figure.subplots().bar(units.index, units)
    return figure


register(
    "Widths", Widths, by_dataset=False, needs=lambda parameters: Needs(frames=("sizes",)),
    draw=draw, caption=lambda shown, parameters: "**Widths.**",
)
'''

ANALYSIS = '''
"""The mean activation of each layer."""

import pandas as pd

from ffensembles.analyses.registry import run_frame


@run_frame("mean_activation")
def measure(results):
    """Return one row a layer."""
    layers = results.activations.children
    means = [float(layer["activation"].mean()) for layer in layers.values()]
    return pd.DataFrame({"layer": [int(name[5:]) for name in layers], "mean": means})
'''

ONE_RUN = {"models": ["FF"], "seeds": [0], "held_out": []}


def configured(place: Workplace, group: str, content: dict) -> None:
    """Lay keys over config.yaml, which states every default."""
    path = place.folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config[group] |= content
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def add(place: Workplace, name: str, text: str) -> None:
    (place.folder / "ffensembles" / name).write_text(text)


def test_a_method_takes_its_module_and_its_parameters(fresh: Workplace):
    add(fresh, "ensembles/strongest.py", METHOD)
    configured(fresh, "ensembles", {"strongest": {"units": 3}})
    tables = {"table2": {"kind": "sizes", "method": "strongest", "quantile": None}}
    overlay = {**ONE_RUN, "editions": {"2023": {"tables": tables}}}
    assert fresh.jobs("table2", **overlay)["find_ensembles"] == 1
    done = fresh.start("table2", **overlay)
    assert done.returncode == 0, done.stdout[-3000:]
    table = (fresh.results / "tables/2023/table2.md").read_text()
    assert "by Strongest" in table
    assert "3.0 (1)" in table
    frame = pd.read_parquet(next(fresh.results.glob("runs/**/frames/sharing.parquet")))
    assert "strongest" in set(frame.method)  # it reaches every frame of ensembles


def test_a_kind_of_figure_takes_its_module_and_an_entry(fresh: Workplace):
    add(fresh, "plotting/kinds/widths.py", KIND)
    overlay = {**ONE_RUN, "editions": {"2023": {"figures": {"figure9": {"kind": "widths"}}}}}
    assert fresh.jobs("figure9", **overlay)["draw_figure"] == 1
    done = fresh.start("figure9", **overlay)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (fresh.results / "figures/2023/figure9.pdf").exists()


def test_an_analysis_of_single_runs_takes_its_module(fresh: Workplace):
    add(fresh, "analyses/means.py", ANALYSIS)
    done = fresh.start("results/tidy/mean_activation.csv", **ONE_RUN)
    assert done.returncode == 0, done.stdout[-3000:]
    frame = pd.read_csv(fresh.results / "tidy/mean_activation.csv")
    assert frame.columns.tolist()[-2:] == ["layer", "mean"]
    assert len(frame) == 3


def test_a_model_takes_its_specification_its_gradients_and_its_parameters(fresh: Workplace):
    add(fresh, "models/specs/toy.py", TOY_SPEC)
    add(fresh, "engine/steps/toy.py", TOY_STEP)
    path = fresh.folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    for recipe in config["recipes"].values():
        recipe["TOY"] = {"learning_rate": 0.01, "epochs": 3, "batch_size": 64}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    overlay = {**ONE_RUN, "models": ["TOY"]}
    done = fresh.start("table1", "figure2", **overlay)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Toy/LS" in (fresh.results / "tables/2023/table1.md").read_text()


def test_a_protocol_takes_a_group_of_the_configuration(fresh: Workplace):
    path = fresh.folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["recipes"]["mine"] = {**config["recipes"]["sigmoid-linf"], "normalise_input": False}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    mine = {"protocol": "mine", "seed": "first", "tables": {"table1": {"kind": "accuracy"}},
            "figures": {}}  # fmt: skip
    overlay = {**ONE_RUN, "protocols": ["mine"], "editions": {"mine": mine}}
    jobs = fresh.jobs("table1", **overlay)
    assert jobs["train_run"] == jobs["make_table"] == 1


def test_the_documentation_names_what_is_done_here():
    table = (Path(__file__).parents[2] / "docs/extend.md").read_text()
    for thing in ("method", "kind of figure", "analysis", "model", "protocol", "data set"):
        assert thing in table
