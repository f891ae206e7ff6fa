"""What the rules of the workflow depend on."""

from typing import Any

from loaded import given, loaded

FIGURE = {"edition": "2023", "figure": "figure3", "variant": ""}


def parameters(rule: str, wildcards: dict[str, str], **overlay: Any) -> dict[str, Any]:
    with loaded(**overlay) as rules:
        return given(rules[rule].params, **wildcards)


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
