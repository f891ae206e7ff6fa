import csv
import errno
import os
import stat

import pytest

from ffensembles.errors import StoreError
from ffensembles.runtime.files import (
    atomic_path,
    checksum,
    read_json,
    write_json,
    write_rows,
    write_text,
)


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


@pytest.mark.parametrize("text", ["", '{"a": 1', "[1, 2]", "\xff"])
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
