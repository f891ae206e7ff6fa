"""The conda environments say the same as the pip pins, and rules without torch have none."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
OPTIONAL = {"scikit-dimension"}  # one extension needs it
NOT_IN_JOBS = {"rocrate", "snakemake", "snakemake-executor-plugin-slurm"}


def requirements(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {re.split(r"[=<>]", line)[0] for line in lines if line and line[0] not in "#-"}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / "envs" / name).read_text())
    return dict(entry.split("=", 1) for entry in content["dependencies"])


@pytest.mark.parametrize("name", ["training.yaml", "analysis.yaml", "extensions.yaml"])
def test_conda_versions_are_the_pip_pins(name):
    found = environment(name)
    assert found.pop("python") == "3.11"
    pip_names = {conda: pip for pip, conda in CONDA_NAMES.items()}
    expected = pins()
    assert found == {package: expected[pip_names.get(package, package)] for package in found}


def test_the_environment_for_gpus_differs_in_the_build_of_pytorch_alone():
    plain, cuda = environment("training.yaml"), environment("training-cuda.yaml")
    assert cuda == {**plain, "pytorch": f"{plain['pytorch']}=cuda*"}


def test_the_container_copies_files_that_are_there():
    text = (ROOT / "envs/ffensembles.def").read_text()
    copied = text.partition("%files\n")[2].partition("\n\n")[0].splitlines()
    assert len(copied) == 6
    assert all((ROOT / line.split()[0]).exists() for line in copied)
    assert re.search(r"From: python:3\.(1[1-9])-", text)


def test_every_requirement_is_in_an_environment():
    wanted = requirements("requirements.txt") - NOT_IN_JOBS
    names = ("training.yaml", "analysis.yaml", "extensions.yaml")
    have = {package for name in names for package in environment(name)}
    have -= {"python", *OPTIONAL}
    assert {CONDA_NAMES.get(package, package) for package in wanted} == have


def test_scripts_start_no_program_of_their_own_environment():
    # the report is made by Snakemake, which is in no environment for jobs
    scripts = {path.name: path.read_text() for path in (ROOT / "scripts").glob("*.py")}
    assert "FFENSEMBLES_PYTHON" in scripts["make_report.py"]
    assert [name for name, text in scripts.items() if "sys.executable" in text] == []


def test_analysis_needs_no_torch():
    assert not {"pytorch", "torchvision"} & set(environment("analysis.yaml"))


def test_every_top_level_name_is_pinned_without_a_local_version():
    pinned = pins()
    assert requirements("requirements.txt") | requirements("requirements-dev.txt") <= set(pinned)
    assert not [version for version in pinned.values() if "+" in version]


def test_every_package_that_the_library_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = {
        re.split("[<>=]", one)[0] for group in (project["dependencies"], *extras) for one in group
    }
    names = {"yaml": "pyyaml", "sklearn": "scikit-learn", "skdim": "scikit-dimension"}
    names |= dict.fromkeys(["pydantic_core", "annotated_types"], "pydantic")  # parts of it
    imported = set()
    for path in (ROOT / "ffensembles").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    own = {"ffensembles", *sys.stdlib_module_names}
    assert {names.get(package, package) for package in imported - own} <= declared
