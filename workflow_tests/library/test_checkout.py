"""Dates of the results that a checkout keeps."""

import os
import subprocess

import pytest

from ffensembles.study import checkout
from ffensembles.study.checkout import date_alike


def git(folder, *words):
    named = ["-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run(["git", "-C", folder, *named, *words], check=True, capture_output=True)


@pytest.mark.parametrize("below", [".", "a/project"])
def test_kept_results_of_a_checkout_are_dated_alike(tmp_path, monkeypatch, below):
    """Also where the project is a folder of a larger repository."""
    git(tmp_path, "init")
    tmp_path = tmp_path / below
    results = tmp_path / "kept"
    results.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(("old", "new", "changed")):
        (results / name).write_text(name)
        os.utime(results / name, (1000 + place, 1000 + place))
    git(tmp_path, "add", "kept")
    git(tmp_path, "commit", "-m", "kept")
    (results / "changed").write_text("changed since")
    (results / "untracked").write_text("made here")
    dates = {name: (results / name).stat().st_mtime for name in ("changed", "untracked")}
    date_alike(tmp_path, ["kept"])
    assert (results / "old").stat().st_mtime == (results / "new").stat().st_mtime
    assert {name: (results / name).stat().st_mtime for name in dates} == dates

    os.utime(results / "old", (5000, 5000))
    date_alike(tmp_path, ["kept"])  # once a commit
    assert (results / "old").stat().st_mtime == 5000


def test_every_folder_of_kept_results_is_dated(tmp_path, monkeypatch):
    """A profile whose results were dated before leaves those of another one to be dated."""
    git(tmp_path, "init")
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kept").write_text(folder)
        os.utime(tmp_path / folder / "kept", (1000, 1000))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "kept")
    for folder in ("one", "two"):
        date_alike(tmp_path, [folder])
        assert (tmp_path / folder / "kept").stat().st_mtime > 1000
    for folder in ("one", "two"):
        os.utime(tmp_path / folder / "kept", (5000, 5000))
        date_alike(tmp_path, [folder])
        assert (tmp_path / folder / "kept").stat().st_mtime == 5000


def test_a_folder_that_cannot_be_written_is_left_as_it_is(tmp_path, monkeypatch):
    """Such as another user's: whoever reads results there is not told of dates."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Operation not permitted")

    (tmp_path / "kept").write_text("a result")
    for words in (["init"], ["add", "."], ["commit", "-m", "kept"]):
        git(tmp_path, *words)
    before = (tmp_path / "kept").stat().st_mtime
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkout.os, "utime", refuse)
    monkeypatch.setattr(checkout.Path, "mkdir", refuse)
    date_alike(tmp_path, ["kept"])
    assert (tmp_path / "kept").stat().st_mtime == before
    assert not (tmp_path / ".snakemake").exists()


def test_nothing_is_dated_where_git_does_not_say_what_has_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init")
    (tmp_path / "kept").write_text("kept")
    git(tmp_path, "add", "kept")
    git(tmp_path, "commit", "-m", "kept")
    os.utime(tmp_path / "kept", (1000, 1000))
    asked = checkout._git
    monkeypatch.setattr(
        checkout, "_git", lambda root, *words: None if "diff" in words else asked(root, *words)
    )
    date_alike(tmp_path, ["kept"])
    assert (tmp_path / "kept").stat().st_mtime == 1000
