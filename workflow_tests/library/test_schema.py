"""The JSON schema that editors read: in step with the code, and of the same opinion."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ffensembles.config import json_schema
from ffensembles.config.__main__ import main

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "config.yaml", *sorted(ROOT.glob("profiles/*/study.yaml"))]
VALID = Draft202012Validator(json_schema.json_schema())


def test_the_committed_schema_is_the_one_that_is_generated(capsys: pytest.CaptureFixture[str]):
    Draft202012Validator.check_schema(json_schema.json_schema())
    assert main(["--schema"]) == 0
    printed = capsys.readouterr().out
    said = "write it again: ffensembles describe-config --schema > config.schema.json"
    assert (ROOT / json_schema.FILE).read_text() == printed, said


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_configuration_files_are_valid_and_name_the_schema(path: Path):
    VALID.validate(yaml.safe_load(path.read_text()))
    first = path.read_text().splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == ROOT / json_schema.FILE


def test_every_key_of_the_top_level_is_in_the_schema():
    config = json_schema.json_schema()["$defs"]["Config"]["properties"]
    assert config.keys() == yaml.safe_load(FILES[0].read_text()).keys()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", ""),
        ("nmae", "a"),
        ("seeds", [-1]),
        ("datasets", ["mnsit"]),
        ("training.checkpoint_minutes", 0),
        ("recipes.relu-l2.FF.epochs", 0),
        ("recipes.relu-l2.per_dataset.mnist", {"widht": [3]}),
        ("recipes.relu-l2.per_dataset.mnits", {}),
        ("control.per_dataset.mnist", {"FF": {"epochs": 0}}),
        ("ensembles.method1.quantiles", [1.5]),
        ("editions.2023.seed", -1),
        ("editions.2023.tables.table1", {"kind": "accuarcy"}),
        ("editions.2023.figures.figure1", {"kind": "activity", "layre": 1}),
        ("editions.2023.figures.figure1", {"kind": "activity", "layer": 0}),
        ("held_out", [{"model": "FF"}]),
    ],
)
def test_what_is_wrong_is_refused(path: str, value: object):
    whole = deepcopy(yaml.safe_load(FILES[0].read_text()))
    *groups, key = path.split(".")
    group = whole
    for name in groups:
        group = group[name]
    group[key] = value
    assert not VALID.is_valid(whole)
