"""`ffensembles verify`: what it reads, what it says, and how older results get their checksums."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from run_files import RECIPE, RUN, make_run
from workplace import KEPT_SWEEPS, ROOT

from ffensembles.analyses.tidy import write_frame
from ffensembles.errors import StoreError
from ffensembles.runtime.files import check_below, checksum_file
from ffensembles.study.command import main
from ffensembles.study.verify import verify
from ffensembles.training.metadata import read_run, seal_run

RUN_FOLDER = f"runs/{RUN.name}"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder of an older version: metadata without checksum, tables without note."""
    folder = tmp_path / "results"
    run = make_run(folder / RUN_FOLDER)
    content = json.loads((run / "run.json").read_text())
    del content["sha256"], content["history_sha256"]
    content["meaning"] = content.pop("fingerprint")
    (run / "run.json").write_text(json.dumps(content))
    write_frame(pd.DataFrame({"size": [1.5]}), folder / "tidy" / "sizes.csv")
    for name in ("figures/2023/figure1.pdf", "figures/2023/figure1.rst", "tables/costs.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "configuration.yaml").write_text("seeds: [0]\n")
    return folder


def content_of(results: Path) -> dict[str, Any]:
    return json.loads((results / RUN_FOLDER / "run.json").read_text())


def test_older_metadata_are_sealed_and_nothing_else_changes(results: Path):
    path, before = results / RUN_FOLDER / "run.json", content_of(results)
    with pytest.raises(StoreError, match=r"run\.json: is of an older version.*verify --seal"):
        read_run(path)
    assert seal_run(path)
    found = read_run(path)
    assert found.pop("history_sha256") == read_run(path)["history_sha256"]
    before["fingerprint"] = before.pop("meaning")
    assert found == before
    sealed = path.read_bytes()
    assert not seal_run(path)  # once is enough
    assert path.read_bytes() == sealed


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("n_train", "400", "n_train: Input should be"),
        ("recipe", RECIPE.but(epochs=3).as_json(), "recipe.epochs: 40 here, 3 in the study"),
        ("run", {**RUN.keys, "seed": 9}, "its fingerprint is not that of its run"),
    ],
)
def test_metadata_that_do_not_agree_are_not_sealed(results: Path, key: str, value: Any, said: str):
    path = results / RUN_FOLDER / "run.json"
    path.write_text(json.dumps({**content_of(results), key: value}))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=said):
        seal_run(path)
    assert path.read_bytes() == before


def test_metadata_that_lost_their_checksum_are_no_older_ones(results: Path):
    path = results / RUN_FOLDER / "run.json"
    seal_run(path)
    content = content_of(results)
    del content["sha256"]
    path.write_text(json.dumps({**content, "n_train": 5}))
    assert not seal_run(path)
    with pytest.raises(StoreError, match="has changed"):
        read_run(path)


def test_results_are_read_and_what_is_wrong_is_named(
    results: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["verify", str(results)]) == 1
    *damaged, last = capsys.readouterr().out.splitlines()
    assert all("older version" in line for line in damaged)
    assert last.endswith("4 without a checksum (--seal adds it)")
    assert main(["verify", "--seal", str(results)]) == 0
    assert "0 damaged, 5 given a checksum" in capsys.readouterr().out
    assert main(["verify", str(results)]) == 0
    # weights, history, metadata, a frame; notes of it, of a figure, a table, the configuration
    assert capsys.readouterr().out == f"{results}: 9 files sound, 0 damaged\n"
    caption = results / "figures/2023/figure1.rst"
    caption.write_text("another")
    assert main(["verify", str(results)]) == 1
    assert f"{caption}: has changed since it was written" in capsys.readouterr().out
    caption.unlink()
    assert "names 'figure1.rst', which is not there" in verify(results).damaged[0]


def test_the_report_shows_no_file_that_has_changed(results: Path):
    verify(results, seal=True)
    check_below(results / "figures")
    check_below(results / "nothing is here")
    (results / "figures/2023/figure1.pdf").write_text("another")
    with pytest.raises(StoreError, match=r"figure1\.pdf: has changed"):
        check_below(results / "figures")
    shutil.rmtree(results / "figures/2023")
    check_below(results / "figures")


@pytest.mark.parametrize("seal", [True, False])
def test_a_file_that_the_system_does_not_read_is_damaged_and_the_rest_is_read(
    results: Path, monkeypatch: pytest.MonkeyPatch, seal: bool
):
    """A checkpoint, a figure and its note."""
    verify(results, seal=True)
    lost = [results / RUN_FOLDER / "checkpoint.safetensors", results / "figures/2023/figure1.pdf"]
    lost[0].write_bytes(b"")
    if seal:
        checksum_file(lost[1].with_suffix("")).unlink()
    opened = Path.open

    def failing(path: Path, *words: Any, **options: Any) -> Any:
        if path in lost:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *words, **options)

    monkeypatch.setattr(Path, "open", failing)
    found = verify(results, seal=seal)
    assert sorted(found.damaged) == [
        f"{path}: cannot be read (Input/output error); check its permissions and the disk, or "
        "delete it and start the same command again."
        for path in sorted(lost)
    ]
    assert found.sound == 8


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["results/reference", *KEPT_SWEEPS])
def test_the_kept_results_are_sound(folder: str):
    """A run.json without a checksum is brought to today's by `ffensembles verify --seal`."""
    found = verify(ROOT / folder)
    assert found.damaged == []
    assert found.sound
    for path in (ROOT / folder).rglob("run.json"):
        assert "sha256" in json.loads(path.read_text())
