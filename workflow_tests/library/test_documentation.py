"""What documents say is so: links lead somewhere, stages have one name, versions agree."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from workplace import ROOT

from ffensembles import __version__
from ffensembles.config import load_config
from ffensembles.study import Study

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name / "README.md" for name in ("results", "benchmarks", "profiles")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def table(page: str) -> list[list[str]]:
    """Return the first table of a page: cells of each row, without code marks."""
    lines = iter((ROOT / page).read_text().splitlines())
    rows = [line for line in lines if line.startswith("|")]
    first = [line for line in rows[2:] if line.count("|") == rows[0].count("|")]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in first]


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page):
    for link in LINK.findall(page.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_a_stage_has_one_name_everywhere():
    rows = [row[:3] for row in table("docs/architecture.md") if len(row) == 4]
    rules = {name for _, cell, _ in rows for name in re.findall(r"\w+", cell)}
    packages = [package for _, _, package in rows]
    library, tests = ROOT / "ffensembles", ROOT / "workflow_tests/library"
    assert rules == {path.stem for path in (ROOT / "rules").glob("*.smk")}
    assert sorted(packages) == sorted(path.parent.name for path in library.glob("*/__init__.py"))
    named = {path.stem.removeprefix("test_") for path in tests.glob("test_*.py")}
    assert {"datasets", "models", "engine", "training", "ensembles", "analyses"} <= named
    read = "\n".join(path.read_text() for path in tests.glob("test_*.py"))
    assert not [package for package in packages if f"ffensembles.{package}" not in read]


def test_rooms_stand_in_the_order_of_the_lint_contract():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contract["contracts"][0]["layers"]
    words = ("runs", "errors", "runtime")
    stages = [row[2] for row in table("docs/architecture.md") if row[2] != "runtime"]
    assert stages == [layer for layer in reversed(layers) if layer not in words]


def test_the_root_of_the_library_holds_at_most_four_modules():
    assert len(list((ROOT / "ffensembles").glob("*.py"))) <= 4


def test_the_readme_is_short_and_shows_a_figure_before_any_command():
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 700
    assert 0 < text.index("![") < text.index("```")
    assert "results/reference/figures" in text
    assert "snakemake" in text.lower()  # the Snakemake workflow catalog asks for both words
    assert "workflow" in text.lower()


def test_versions_agree():
    constraints = (ROOT / "constraints.txt").read_text()
    pins = dict(line.split("==") for line in constraints.splitlines() if line[:1] not in "#")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["rev"] for repo in hooks] == [f"v{pins['ruff']}", f"v{pins['snakefmt']}"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["train"], *extras["workflow"]]
    assert {re.split("[<>=]", one)[0] for one in asked} == {
        re.split("[<>=]", line)[0]
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and line[0] not in "#-"
    }


def test_the_site_shows_every_kept_figure_with_its_caption():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    assert hooks.editions() == ["2023", "2025"]
    for edition in hooks.editions():
        folder = ROOT / "results/reference/figures" / edition
        page = hooks.figures_page(edition)
        text = page[f"{edition}.md"]
        kept = sorted(path.name for path in folder.glob("*.png"))
        assert sorted(re.findall(rf"\]\({edition}/(.*?)\)", text)) == kept
        assert set(page) == {f"{edition}.md", *(f"{edition}/{name}" for name in kept)}
        assert all(path.read_text() in text for path in folder.glob("*.rst"))
        heads = re.findall("^## (.*)", text, re.MULTILINE)
        assert heads[0].startswith("Figure 1")
        assert len(heads) == len(set(heads))


def test_the_edition_that_the_page_shows_can_be_made():
    text = (ROOT / "docs/extend.md").read_text()
    (block,) = re.findall(r"```yaml\n(editions:.*?)```", text, re.DOTALL)
    overlay = yaml.safe_load(block)
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    one = Study.of(load_config(base, overlay)).editions
    shown = overlay["editions"]["mine"]
    assert {*shown["tables"]} <= {*one.tables("mine")}
    assert {*shown["figures"]} <= {*one.figures("mine")}
    assert "activity_mine" in one.targets
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    named = {*re.findall(r"^ *(?:rule|checkpoint) (\w+):", rules, re.MULTILINE)}
    assert len(named) > 20
    assert not {*shown["tables"], *shown["figures"]} & named  # a rule's name is refused
