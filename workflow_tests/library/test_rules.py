"""What the rules of the workflow depend on."""

import ast
from pathlib import Path
from typing import Any

import pytest
from loaded import given, loaded
from workplace import ROOT

from ffensembles.errors import ConfigError

FIGURE = {"edition": "2023", "figure": "figure3", "variant": ""}
RUN = {
    "protocol": "sigmoid-linf", "dataset": "mnist", "model": "FF", "held_out": "none", "seed": "0",
}  # fmt: skip
JOB = {**RUN, **FIGURE, "table": "table1", "extension": "causality"}
"""Wildcards of some job of any rule."""

CHANGES_NO_RESULT = {
    "ffensembles.runtime.jobs": "the log and the errors of a job",
    "ffensembles.runtime.provenance": "which versions made a figure, noted in its file",
    "ffensembles.runs": "reads a job's wildcards",
    "ffensembles.extensions": "finds the extensions; the rule names the one of its job",
    "ffensembles.extensions.observing": "readings beside a training, which are no output of it",
}
"""Imports of scripts that no rule need name, and why."""

WITHOUT_CODE = {
    "fetch": "its files are checked against known checksums",
    "write_configuration": "writes its parameters as they are",
}
"""Rules that follow none of the library's files, and why."""


def parameters(rule: str, wildcards: dict[str, str], **overlay: Any) -> dict[str, Any]:
    with loaded(**overlay) as rules:
        return {name: given(one, **wildcards) for name, one in rules[rule].params.items()}


def test_another_example_redraws_figures_that_show_one_alone():
    """The example's files may be older than the figure: only a parameter tells."""
    first, other = {}, {"editions": {"2023": {"seed": 3}}}
    assert parameters("draw_figure", FIGURE, **first)["run"]["seed"] == 0
    assert parameters("draw_figure", FIGURE, **other)["run"]["seed"] == 3
    of_all = {**FIGURE, "figure": "figure2"}
    assert parameters("draw_figure", of_all, **first) == parameters("draw_figure", of_all, **other)


def test_pages_of_other_results_are_made_again():
    sweeps = {"reproduction": {"sweeps": ["results/sweep"]}}
    results = {"reproduction": {"results": "results/rates"}}
    for rule, others in (("compare", (sweeps, results)), ("beyond", (results,))):
        own = parameters(rule, {"edition": "2023"})
        for overlay in others:
            assert parameters(rule, {"edition": "2023"}, **overlay) != own


@pytest.mark.parametrize(
    ("name", "section", "said"),
    [
        ("sweep", {"protocol": "sigmoid-linf"}, "`sweep.protocol` is sigmoid-linf, which is not"),
        ("control", {"datasets": ["svhn"]}, "`control` has no run: none of its `settings`"),
    ],
)
def test_a_section_without_runs_is_told_before_anything_runs(
    name: str, section: dict[str, Any], said: str
):
    asked = {"scope": f"{name}/", "file": "sizes.csv"}
    with loaded(protocols=["relu-l2"], held_out=[], **{name: section}) as rules:
        for rule in ("accuracy", "history", "tidy_frame"):
            with pytest.raises(ConfigError, match=said):
                given(rules[rule].input.files, **asked)
        if name == "control":
            with pytest.raises(ConfigError, match=said):
                given(rules["control"].input[0])


@pytest.mark.parametrize("target", ["tables", "figures", "nulls"])
def test_a_study_without_runs_is_told_before_anything_runs(target: str):
    none = {"protocol": "all", "dataset": "all", "model": "all", "seeds": []}
    with (
        loaded(own_seeds=[none]) as rules,
        pytest.raises(ConfigError, match="`own_seeds` leaves none"),
    ):
        given(rules[target].input[-1])


def test_frames_of_cuts_are_asked_for_where_they_are_made():
    """With other widths on all data sets no run has every setting as it is."""
    widths = {"widths": [500, 500, 500]}
    for over in ({}, {"mnist": widths, "fashionmnist": widths}):
        with loaded(sweep={"per_dataset": over}, held_out=[]) as rules:
            made = set(rules["cuts"].output)
            asked = {path for path in rules["sweep_scores"].input if "cut_" in str(path)}
        assert made == asked
        assert bool(made) == (not over)


def imports(script: Path) -> set[str]:
    """Return the library's files that a script imports itself."""
    nodes = list(ast.walk(ast.parse(script.read_text())))
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    named |= {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    own = {module for module in named if module and module.startswith("ffensembles.")}
    return {_file(module) for module in own - CHANGES_NO_RESULT.keys()}


def _file(module: str) -> str:
    base = Path(*module.split("."))
    package = base / "__init__.py"
    return str(package if (ROOT / package).exists() else base.with_suffix(".py"))


def code(rule: Any, **wildcards: str) -> set[str]:
    """Return the library's files that a rule's job depends on."""
    found = given(rule.input.get("code", []), **{**JOB, **wildcards})
    return {str(Path(path).resolve().relative_to(ROOT)) for path in found}


def test_rules_follow_what_their_scripts_import():
    with loaded() as rules:
        for rule in rules.values():
            if rule.script and rule.name not in WITHOUT_CODE:
                missing = imports(ROOT / "scripts" / Path(rule.script).name) - code(rule)
                assert not missing, f"{rule.name}: add to its `code`: {sorted(missing)}"


def test_a_table_follows_the_extension_of_its_kind():
    tables = {"tables": {"mine": {"kind": "causality"}}}
    with loaded(editions={"2023": tables}) as rules:
        assert "ffensembles/extensions/kinds/causality.py" in code(
            rules["make_table"], table="mine"
        )


def test_the_report_follows_its_opening_and_its_style():
    with loaded() as rules:
        pages = {Path(path).name for path in rules["make_report"].input.page}
    assert pages == {"workflow.rst", "report.css"}
