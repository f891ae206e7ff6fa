import csv
import errno
import logging
import os
import stat
import subprocess
import sys
from functools import partial

import pytest

from ffensembles.errors import StoreError
from ffensembles.runtime.files import (
    atomic_path,
    checksum,
    read_json,
    remove_abandoned,
    write_json,
    write_rows,
    write_text,
)
from ffensembles.runtime.jobs import logged


def test_a_file_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "result.txt"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["result.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "result.txt"
    path.write_text("before")

    def write():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["result.txt"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission was denied"),
    ],
)
def test_a_disk_that_takes_nothing(tmp_path, monkeypatch, number, said):
    path = tmp_path / "result.txt"
    path.write_text("before")

    def refuse(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=said) as caught:
        write_text(path, "after")
    assert str(path) in str(caught.value)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["result.txt"]


def test_a_folder_of_data_has_a_setting_of_its_own(tmp_path):
    def write():
        with atomic_path(tmp_path / "images", "`data.folder`"):
            raise PermissionError(errno.EACCES, "denied")

    with pytest.raises(StoreError, match=r"folder's owner or set another `data\.folder`\."):
        write()


def test_what_cannot_be_removed_keeps_nothing_else(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / f".x.{name}.part").mkdir()
        os.utime(tmp_path / f".x.{name}.part", (0, 0))

    def remove(path):
        if path.name == ".x.b.part":
            raise PermissionError(errno.EACCES, "a colleague's")
        path.rmdir()

    monkeypatch.setattr("shutil.rmtree", remove)
    remove_abandoned(tmp_path, ".x.", ".part")
    assert [path.name for path in tmp_path.iterdir()] == [".x.b.part"]


WRAPPED = {
    "raised from it": lambda full: RuntimeError("the library failed"),
    "its text alone": lambda full: ValueError(f"cannot write: {full} (os error 28)"),
}


def fail_by(kind):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise WRAPPED[kind](full) from (full if kind == "raised from it" else None)


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_full_disk_met_by_a_library_is_told_as_any_other(tmp_path, kind):
    with (
        pytest.raises(StoreError, match=r"figure\.png: cannot be written; the disk is full"),
        atomic_path(tmp_path / "figure.png"),
    ):
        fail_by(kind)
    assert list(tmp_path.iterdir()) == []


def test_our_own_errors_pass_as_they_are(tmp_path):
    error = StoreError("another.file: cannot be read (No space left on device)")
    with pytest.raises(StoreError) as caught, atomic_path(tmp_path / "result"):
        raise error
    assert caught.value is error


@pytest.fixture
def plain_logging(monkeypatch):
    """Logging as a script finds it; pytest's own is put back."""
    level = logging.root.level
    monkeypatch.setattr(logging.root, "handlers", [])
    yield
    for handler in logging.root.handlers:
        handler.close()
    logging.root.setLevel(level)


def write_to_a_full_disk(log):
    """As the report's job does: another program, its output in the log."""
    code = "open('/dev/full', 'w').write('x' * 100_000)"
    with log.open("a") as output:
        subprocess.run([sys.executable, "-c", code], stdout=output, stderr=output, check=True)


@pytest.mark.parametrize("kind", [*WRAPPED, "another program"])
def test_a_job_tells_of_a_full_disk(tmp_path, plain_logging, kind):
    log = tmp_path / "logs" / "job.log"
    fail = (
        partial(write_to_a_full_disk, log) if kind == "another program" else partial(fail_by, kind)
    )
    with pytest.raises(SystemExit), logged(log, "results/report.html"):
        fail()
    said = log.read_text()
    assert "ERROR: results/report.html: cannot be made; the disk is full: free some space" in said
    assert "not foreseen" not in said


def test_another_failure_of_another_program_is_not_taken_for_a_full_disk(tmp_path, plain_logging):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit), logged(log, "results/report.html"):
        subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)
    assert "not foreseen" in log.read_text()


def test_a_log_that_cannot_be_written_is_told_in_a_line(tmp_path, plain_logging):
    (tmp_path / "logs").write_text("")
    with (
        pytest.raises(SystemExit, match=r"job\.log: cannot be written"),
        logged(tmp_path / "logs" / "job.log", "results/report.html"),
    ):
        pass


def test_other_errors_are_not_disguised(tmp_path):
    with pytest.raises(OSError, match="odd"), atomic_path(tmp_path / "result.txt"):
        raise OSError(errno.EINVAL, "odd")


def test_results_are_as_readable_as_other_files(tmp_path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "theirs").write_text("")
    ours, theirs = ((tmp_path / name).stat().st_mode for name in ("ours", "theirs"))
    assert stat.S_IMODE(ours) == stat.S_IMODE(theirs)


def test_json_both_ways(tmp_path):
    content = {"b": [1, 2.5, None], "a": {"é": "ü"}}
    write_json(tmp_path / "run.json", content)
    assert read_json(tmp_path / "run.json") == content
    assert list(read_json(tmp_path / "run.json")) == ["b", "a"]


@pytest.mark.parametrize(
    "text", ["", '{"a": 1', "[1, 2]", "\xff", '{"a": NaN}', '{"a": 1e400}', "[" * 100_000]
)
def test_json_that_is_not_whole(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"run\.json.*again"):
        read_json(path)


def test_json_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match=r"run\.json"):
        read_json(tmp_path / "run.json")


def test_rows(tmp_path):
    path = tmp_path / "history.csv"
    write_rows(path, [{"epoch": 1, "loss": 0.5}, {"epoch": 2}], ["epoch", "loss"])
    assert path.read_text() == "epoch,loss\n1,0.5\n2,\n"
    with path.open(newline="") as file:
        assert list(csv.DictReader(file))[1] == {"epoch": "2", "loss": ""}


def test_a_row_with_a_column_too_many_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="surplus"):
        write_rows(tmp_path / "history.csv", [{"epoch": 1, "surplus": 2}], ["epoch"])
    assert list(tmp_path.iterdir()) == []


def test_checksums_are_the_known_ones(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert checksum(path, "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert checksum(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
