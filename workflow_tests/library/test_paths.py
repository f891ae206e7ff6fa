"""The path of each file, and back to its run."""

import re
from dataclasses import replace

import pytest
from studies import RUN, small

from ffensembles.runs import Run
from ffensembles.study.paths import PATTERNS


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
