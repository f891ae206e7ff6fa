"""Dates of the results that a checkout keeps."""

import os
import subprocess

from ffensembles.study.checkout import date_alike


def git(folder, *words):
    named = ["-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run(["git", "-C", folder, *named, *words], check=True, capture_output=True)


def test_kept_results_of_a_checkout_are_dated_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init")
    results = tmp_path / "kept"
    results.mkdir()
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
