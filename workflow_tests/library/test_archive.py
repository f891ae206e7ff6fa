"""An archive brings runs elsewhere as they were, and brings nothing else."""

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from importing import brought_along
from rocrate.rocrate import ROCrate
from run_files import RECIPE, make_run, metadata

from ffensembles import __version__
from ffensembles.analyses.tidy import write_frame
from ffensembles.errors import StoreError
from ffensembles.runs import Run
from ffensembles.runtime.files import checksum, write_text
from ffensembles.study.export import code_here, expected_in, export_runs, import_runs, main
from ffensembles.study.paths import PATTERNS
from ffensembles.training.cache import Cache
from ffensembles.training.metadata import write_run

RUNS = [
    Run("relu-l2", "mnist", "BP", None, 10),
    Run("sigmoid-linf", "digits", "FF", 0, 2),
    Run("sigmoid-linf", "digits", "FF", None, 2),
]
ROOT = Path(__file__).parents[2]
DAY = 1_700_000_000  # 14 November 2023
NAMES = ["weights.safetensors", "history.csv", "run.json"]


def folder(results: Path, run: Run) -> Path:
    return results / "runs" / run.name


def make(results: Path, run: Run, seed: int = 0) -> Path:
    return make_run(folder(results, run), run, seed=seed)


def add_readings(results: Path, run: Run, weights_sha256: str | None = None) -> Path:
    """Put the frame of a run's readings beside it."""
    own = json.loads((folder(results, run) / "run.json").read_text())["weights_sha256"]
    frame = pd.DataFrame({"layer": [1], "weights_sha256": [weights_sha256 or own]})
    write_frame(frame, folder(results, run) / Cache.readings)
    return folder(results, run) / Cache.readings


@pytest.fixture(autouse=True)
def one_day(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(DAY))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for run in RUNS:
        make(tmp_path / "results", run)
    return tmp_path / "results"


@pytest.fixture
def archive(results: Path, tmp_path: Path) -> Path:
    export_runs(results, tmp_path / "runs.zip")
    return tmp_path / "runs.zip"


def written(path: Path) -> tuple[int, int]:
    """Tell one writing of a file from another; reading it changes neither."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def files(place: Path) -> dict[str, bytes]:
    """Return the files below a folder, without the cache of trained runs."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.relative_to(place).parts[0] != PATTERNS["cache"]
    }


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def rewrite(archive: Path, content: dict[str, bytes], **options: int) -> None:
    with zipfile.ZipFile(archive, "w", **options) as packed:
        for name, data in content.items():
            packed.writestr(name, data)


def entry(name: str, data: bytes) -> dict[str, object]:
    return {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}}


def forge(archive: Path, change, index: int = 0) -> None:
    """Change a manifest and members together, as who means harm would."""
    content = members(archive)
    manifest = json.loads(content["manifest.json"])
    change(manifest["runs"][index], content)
    rewrite(archive, {**content, "manifest.json": json.dumps(manifest).encode()})


def refused(archive: Path, place: Path, *said: str) -> str:
    """Unpack in vain: one line that names the archive, and nothing written."""
    before = files(place)
    with pytest.raises(StoreError) as caught:
        import_runs(archive, place)
    message = str(caught.value)
    assert message.startswith(f"{archive}: ")
    assert "\n" not in message
    for part in said:
        assert part in message
    assert files(place) == before
    return message


# --- there and back ---------------------------------------------------------------------------


def test_runs_come_back_as_they_were(results: Path, archive: Path, tmp_path: Path):
    names = [run.name for run in RUNS]
    assert export_runs(results, tmp_path / "again.zip") == names
    assert import_runs(archive, tmp_path / "there" / "results") == names
    assert files(tmp_path / "there" / "results") == files(results)


def test_the_manifest_is_first_and_says_what_there_is(archive: Path, results: Path):
    content = members(archive)
    assert next(iter(content)) == "manifest.json"
    manifest = json.loads(content["manifest.json"])
    assert manifest["ffensembles"] == __version__
    assert [one["run"] for one in manifest["runs"]] == [run.keys for run in RUNS]
    for one in manifest["runs"]:
        for name, known in one["files"].items():
            assert known["sha256"] == checksum(results / name)
            assert known["size"] == (results / name).stat().st_size
    listed = [name for one in manifest["runs"] for name in one["files"]]
    assert list(content)[1:] == ["ro-crate-metadata.json", *listed]
    assert [name.rpartition("/")[2] for name in listed] == NAMES * 3


def test_the_same_runs_give_the_same_bytes(results: Path, archive: Path, tmp_path: Path):
    other = tmp_path / "other"
    for run in reversed(RUNS):
        for path in make(other, run).iterdir():
            os.utime(path, (1e9, 1e9))
            path.chmod(0o600)
    export_runs(other, tmp_path / "other.zip")
    assert (tmp_path / "other.zip").read_bytes() == archive.read_bytes()
    import_runs(archive, tmp_path / "there")
    export_runs(tmp_path / "there", tmp_path / "once-more.zip")
    assert (tmp_path / "once-more.zip").read_bytes() == archive.read_bytes()


def test_an_archive_is_an_ro_crate(archive: Path, results: Path):
    crate = ROCrate(archive)
    assert crate.root_dataset["datePublished"] == "2023-11-14"
    assert crate.root_dataset["citation"].id == "https://doi.org/10.48550/arXiv.2305.18353"
    described = {one.id: one for one in crate.data_entities if one.type == "File"}
    expected = {name: data for name, data in members(archive).items() if name.startswith("runs/")}
    assert described.keys() == expected.keys()
    for name, data in expected.items():
        assert described[name]["sha256"] == hashlib.sha256(data).hexdigest()
        assert described[name]["contentSize"] == str(len(data))
    trainings = [one for one in crate.contextual_entities if one.type == "CreateAction"]
    assert [one["name"] for one in trainings] == [
        "Training of BP on MNIST, protocol relu-l2, seed 10",
        "Training of FF on Digits without class 0, protocol sigmoid-linf, seed 2",
        "Training of FF on Digits, protocol sigmoid-linf, seed 2",
    ]
    for run, training in zip(RUNS, trainings, strict=True):
        assert {one.id.rpartition("/")[2] for one in training["result"]} == set(NAMES)
        assert all(run.name in one.id for one in training["result"])
        known = json.loads((folder(results, run) / "run.json").read_text())["provenance"]
        assert training["instrument"]["version"] == known["ffensembles"]


def test_an_archive_without_ro_crate_metadata_is_read_too(archive: Path, tmp_path: Path):
    content = members(archive)
    del content["ro-crate-metadata.json"]
    rewrite(archive, content)
    assert import_runs(archive, tmp_path / "there") == [run.name for run in RUNS]


def test_metadata_is_written_last(archive: Path, tmp_path: Path, monkeypatch):
    """Interrupted, a run lacks what tells that it is whole, and unpacking again makes it good."""
    there, replace = tmp_path / "there", Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == "run.json":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_runs(archive, there)
    place = folder(there, RUNS[0])
    assert sorted(path.name for path in place.iterdir()) == ["history.csv", "weights.safetensors"]
    before = written(place / "weights.safetensors")
    assert import_runs(archive, there) == [run.name for run in RUNS]
    assert (place / "run.json").exists()
    assert written(place / "weights.safetensors") == before


# --- what is packed ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_only_finished_runs_are_packed(results: Path, tmp_path: Path, name: str):
    (folder(results, RUNS[1]) / name).unlink()
    assert export_runs(results, tmp_path / "runs.zip") == [RUNS[0].name, RUNS[2].name]
    assert RUNS[1].name not in str(list(members(tmp_path / "runs.zip")))


def test_nothing_but_runs_is_packed(results: Path, archive: Path, tmp_path: Path):
    before = archive.read_bytes()
    for kind in ("activations", "checkpoint", "data"):
        write_text(results / PATTERNS[kind].format_map(RUNS[0].wildcards), "more")
    place = folder(results, RUNS[2])
    for odd in ("seed-02", "seed-x", "seed-2 (copy)"):
        for name in NAMES:
            place.with_name(odd).mkdir(exist_ok=True)
            (place.with_name(odd) / name).write_bytes((place / name).read_bytes())
    export_runs(results, archive)
    assert archive.read_bytes() == before


@pytest.mark.parametrize("there", [True, False])
def test_no_run_to_pack(tmp_path: Path, there: bool):
    if there:
        (tmp_path / "results").mkdir()
    with pytest.raises(StoreError, match="results: holds no finished run; train"):
        export_runs(tmp_path / "results", tmp_path / "runs.zip")
    assert not (tmp_path / "runs.zip").exists()


def test_weights_that_metadata_do_not_tell_of(results: Path, archive: Path):
    before = archive.read_bytes()
    weights = folder(results, RUNS[1]) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"is not the file that run\.json beside it") as caught:
        export_runs(results, archive)
    assert str(caught.value).startswith(f"{weights}: ")
    assert archive.read_bytes() == before


def test_a_run_in_another_ones_folder(results: Path, tmp_path: Path):
    folder(results, RUNS[2]).rename(folder(results, RUNS[2]).with_name("seed-3"))
    with pytest.raises(StoreError, match=r"seed-3/run\.json: is of another run"):
        export_runs(results, tmp_path / "runs.zip")


def test_metadata_that_cannot_be_read(results: Path, tmp_path: Path):
    (folder(results, RUNS[0]) / "run.json").write_text('{"run": ')
    with pytest.raises(StoreError, match=r"run\.json: cannot be read"):
        export_runs(results, tmp_path / "runs.zip")


def test_weights_that_change_meanwhile(results: Path, tmp_path: Path, monkeypatch):
    read = Path.read_bytes
    monkeypatch.setattr(
        Path,
        "read_bytes",
        lambda path: read(path) + (b"more" if path.suffix == ".safetensors" else b""),
    )
    with pytest.raises(StoreError, match=r"weights\.safetensors: changed during the export"):
        export_runs(results, tmp_path / "runs.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_full_disk(results: Path, archive: Path, tmp_path: Path, monkeypatch):
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = archive.read_bytes()
    monkeypatch.setattr(os, "fsync", refuse)
    for call in (
        lambda: export_runs(results, archive),
        lambda: import_runs(archive, tmp_path / "there"),
    ):
        with pytest.raises(StoreError, match="the disk is full"):
            call()
    assert archive.read_bytes() == before
    assert files(tmp_path / "there") == {}


# --- runs that are there already --------------------------------------------------------------


def test_the_same_run_stays_untouched(results: Path, archive: Path, caplog):
    runs = [*(results / "runs").rglob("*")]
    before = {path: written(path) for path in runs}
    assert import_runs(archive, results) == []
    assert import_runs(archive, results, replace=True) == []
    assert {path: written(path) for path in (results / "runs").rglob("*")} == before
    assert not caplog.records


@pytest.mark.parametrize("name", NAMES)
def test_another_run_stays_and_is_named(results: Path, archive: Path, caplog, name: str):
    place = folder(results, RUNS[1])
    (place / name).write_text("mine")
    (folder(results, RUNS[2]) / "history.csv").unlink()
    before = files(place)
    assert import_runs(archive, results) == [RUNS[2].name]
    assert files(place) == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith(f"{place}: is there with other content")
    assert "--replace" in caplog.text


def test_a_file_of_mine_stays_though_the_run_is_not_whole(results: Path, archive: Path, caplog):
    place = folder(results, RUNS[1])
    (place / "weights.safetensors").write_text("mine")
    (place / "run.json").unlink()
    before = files(place)
    assert import_runs(archive, results) == []
    assert files(place) == before
    assert str(place) in caplog.text


def test_another_run_is_replaced_if_asked(results: Path, archive: Path, caplog):
    wanted = files(results)
    make(results, RUNS[1], seed=7)
    write_text(folder(results, RUNS[1]) / "activations.zarr.zip", "mine")
    untouched = written(folder(results, RUNS[1]) / "history.csv")
    assert import_runs(archive, results, replace=True) == [RUNS[1].name]
    mine = {f"runs/{RUNS[1].name}/activations.zarr.zip": b"mine"}
    assert files(results) == wanted | mine
    assert written(folder(results, RUNS[1]) / "history.csv") == untouched
    assert not caplog.records


def test_a_file_of_a_run_that_cannot_be_read(archive: Path, tmp_path: Path):
    weights = folder(tmp_path / "there", RUNS[0]) / "weights.safetensors"
    weights.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"weights\.safetensors: cannot be read"):
        import_runs(archive, tmp_path / "there")


# --- damage -----------------------------------------------------------------------------------


def test_an_archive_that_is_not_there(tmp_path: Path):
    refused(tmp_path / "runs.zip", tmp_path / "there", "is not there", "`export` wrote")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip" * 100])
def test_what_is_no_archive(tmp_path: Path, content: bytes):
    (tmp_path / "runs.zip").write_bytes(content)
    refused(tmp_path / "runs.zip", tmp_path / "there", "its list of members", "copy the archive")


def test_a_zip_of_something_else(tmp_path: Path):
    rewrite(tmp_path / "runs.zip", {"letter.txt": b"Dear all"})
    refused(tmp_path / "runs.zip", tmp_path / "there", "manifest.json")


def test_a_truncated_archive(archive: Path, tmp_path: Path):
    whole = archive.read_bytes()
    for size in range(0, len(whole), 97):
        archive.write_bytes(whole[:size])
        refused(archive, tmp_path / "there", "truncated or damaged", "copy the archive here again")


@pytest.mark.slow
def test_any_changed_byte_is_found_or_means_nothing(results: Path, archive: Path, tmp_path: Path):
    whole, wanted = archive.read_bytes(), files(results)
    chance = random.Random(0)
    found = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        archive.write_bytes(damaged)
        there = tmp_path / "there" / str(place)
        try:
            import_runs(archive, there)
        except StoreError as error:
            assert str(error).startswith(f"{archive}: ")  # noqa: PT017
            assert files(there) == {}
            found += 1
        else:  # a date, or who may read a file
            assert files(there) == wanted
    assert found > len(whole) / 3 * 0.7


@pytest.mark.parametrize("name", ["manifest.json", *NAMES])
def test_a_member_that_is_missing_is_named(archive: Path, tmp_path: Path, name: str):
    content = members(archive)
    lost = next(member for member in content if member.endswith(name))
    rewrite(archive, {member: data for member, data in content.items() if member != lost})
    refused(archive, tmp_path / "there", lost)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("longer", [True, False])
def test_a_member_with_other_content_is_named(
    archive: Path, tmp_path: Path, name: str, longer: bool
):
    content = members(archive)
    changed = [member for member in content if member.endswith(name)][-1]
    data = content[changed]
    rewrite(archive, {**content, changed: data + b" " if longer else data[::-1]})
    refused(archive, tmp_path / "there", changed, "truncated or damaged")


def test_a_member_that_is_not_listed_is_named(archive: Path, tmp_path: Path):
    rewrite(archive, {**members(archive), "runs/more.txt": b"more"})
    refused(archive, tmp_path / "there", "runs/more.txt")


def test_an_archive_compressed_since(archive: Path, tmp_path: Path):
    rewrite(archive, members(archive), compression=zipfile.ZIP_DEFLATED)
    refused(archive, tmp_path / "there", "compressed")


@pytest.mark.parametrize(
    "manifest",
    [b"", b"\xff", b"[]", b"{}", b'{"runs": 3}', b'{"runs": [3]}', b'{"runs": [{"run": {}}]}',
     b'{"runs": [{"run": [], "files": {}}]}', b"[" * 100_000],
)  # fmt: skip
def test_a_manifest_that_says_nothing(archive: Path, tmp_path: Path, manifest: bytes):
    rewrite(archive, {**members(archive), "manifest.json": manifest})
    refused(archive, tmp_path / "there", "manifest.json")


@pytest.mark.parametrize("key", ["sha256", "size"])
@pytest.mark.parametrize("value", [None, "", [], 0, {}])
def test_a_manifest_that_does_not_know_a_file(archive: Path, tmp_path: Path, key: str, value):
    def change(one, content):
        next(iter(one["files"].values()))[key] = value

    forge(archive, change)
    refused(archive, tmp_path / "there")


def with_metadata(archive: Path, run: Run, content: dict) -> str:
    """Replace a run's metadata in an archive and in its manifest; return the member's name."""
    said = json.dumps(content).encode()
    (name,) = (n for n in members(archive) if n.endswith(f"{run.name}/run.json"))

    def change(one, held):
        held[name] = said
        one["files"] |= entry(name, said)

    manifest = json.loads(members(archive)["manifest.json"])
    forge(archive, change, [one["run"] for one in manifest["runs"]].index(run.keys))
    return name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fingerprint": None}, "has changed since it was written"),
        ({"seconds": "long"}, "has changed since it was written"),
        ({"sha256": None}, "has changed since it was written"),
    ],
)
def test_the_last_runs_metadata_are_checked_before_a_file_is_written(
    results: Path, archive: Path, tmp_path: Path, changes: dict, said: str
):
    content = json.loads((folder(results, RUNS[2]) / "run.json").read_text())
    content = {key: value for key, value in (content | changes).items() if value is not None}
    name = with_metadata(archive, RUNS[2], content)
    refused(archive, tmp_path / "there", f"{name}: {said}")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("seconds", "long", "seconds: Input should be a valid number"),
        ("accuracy", {"network": 0.5, "layers": ["high"]}, "accuracy.layers.0: "),
        ("dead_layers", [1.5], "dead_layers.0: "),
        ("fingerprint", None, "fingerprint: "),
    ],
)
def test_a_wrong_type_in_sealed_metadata_is_named(
    results: Path, archive: Path, tmp_path: Path, key: str, value, said: str
):
    """Written so by a program in error: its seal is right."""
    content = json.loads((folder(results, RUNS[2]) / "run.json").read_text())
    del content["sha256"]
    write_run(tmp_path / "run.json", content | {key: value})
    name = with_metadata(archive, RUNS[2], json.loads((tmp_path / "run.json").read_text()))
    refused(archive, tmp_path / "there", f"{name}: {said}")


def test_metadata_of_other_weights(results: Path, archive: Path, tmp_path: Path):
    make(tmp_path / "other", RUNS[2], seed=9)
    content = json.loads((folder(tmp_path / "other", RUNS[2]) / "run.json").read_text())
    with_metadata(archive, RUNS[2], content)
    refused(archive, tmp_path / "there", "is not of the run and the files that it lies beside")


def test_metadata_of_an_older_version_are_refused_with_the_way_out(tmp_path: Path):
    place = make(tmp_path / "old", RUNS[0])
    content = metadata(RUNS[0], weights_sha256=checksum(place / "weights.safetensors"))
    content["meaning"] = content.pop("fingerprint")
    del content["history_sha256"]
    (place / "run.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match="ffensembles verify --seal"):
        export_runs(tmp_path / "old", tmp_path / "old.zip")


# --- another recipe ---------------------------------------------------------------------------


def test_runs_of_another_recipe_are_not_imported(archive: Path, tmp_path: Path, caplog):
    expected = {run: metadata(run)["fingerprint"] for run in RUNS}
    expected[RUNS[1]] = metadata(RUNS[1], RECIPE.but(epochs=3))["fingerprint"]
    there = tmp_path / "there"
    assert import_runs(archive, there, expected=expected) == [RUNS[0].name, RUNS[2].name]
    assert not folder(there, RUNS[1]).exists()
    assert f"{RUNS[1].name} is not imported" in caplog.text
    assert "recipe.epochs: 40 here, 3 in the study" in caplog.text


def test_imported_runs_are_in_the_cache(archive: Path, tmp_path: Path):
    there = tmp_path / "there"
    import_runs(archive, there)
    cache = Cache(there / PATTERNS["cache"], code_here("digits", "FF"))
    files_of_run = [tmp_path / "taken" / name for name in NAMES]
    assert cache.take(metadata(RUNS[1])["fingerprint"], files_of_run)
    assert not cache.take(metadata(RUNS[1], RECIPE.but(epochs=3))["fingerprint"], files_of_run)


def test_runs_of_other_code_are_imported_with_a_word(tmp_path: Path, caplog):
    for run, code in zip(RUNS[1:], ("b" * 64, code_here("digits", "FF")), strict=True):
        make_run(folder(tmp_path / "results", run), run, code_sha256=code)
    archive = tmp_path / "runs.zip"
    export_runs(tmp_path / "results", archive)
    assert len(import_runs(archive, tmp_path / "there")) == 2
    (said,) = caplog.messages
    assert said.startswith(f"{archive}: 1 run was trained by other code than this checkout's.")
    assert import_runs(archive, tmp_path / "there") == []  # nothing new, nothing to say
    assert len(caplog.messages) == 1


def test_the_command_compares_with_a_configuration(tmp_path: Path):
    """The made-up recipe is not that of config.yaml, and an overlay is part of the study."""
    overlay = tmp_path / "study.yaml"
    overlay.write_text("{datasets: [digits], seeds: [2], held_out: []}\n")
    config = ROOT / "config.yaml"
    assert RUNS[2] in expected_in(config, overlay)
    assert RUNS[1] not in expected_in(config, overlay)
    for run in RUNS[1:]:
        make(tmp_path / "results", run)
    export_runs(tmp_path / "results", tmp_path / "runs.zip")
    done = command("import", tmp_path / "runs.zip", tmp_path / "there", "--config", config, overlay)
    assert done.stdout == f"{tmp_path / 'runs.zip'}: 1 run imported\n"
    assert f"{RUNS[2].name} is not imported; it differs from the study's run: " in done.stderr
    assert folder(tmp_path / "there", RUNS[1]).exists()
    assert not folder(tmp_path / "there", RUNS[2]).exists()


# --- harm -------------------------------------------------------------------------------------

UNSAFE = ["../evil", "/etc/evil", "runs/../../evil", "manifest.json", "runs\\..\\evil", "C:/evil",
          "runs/a/b/FF/held-out-none/seed-0/run.json/../../../../../../../../evil"]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_leads_elsewhere(archive: Path, tmp_path: Path, name: str):
    def change(one, content):
        one["files"] |= entry(name, b"evil")
        content[name] = b"evil"

    forge(archive, change)
    refused(archive, tmp_path / "there")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key in ("protocol", "dataset", "model") for value in
     ("..", ".", "", "a/b", "../..", "/etc", "a\\b", "a\nb", ".hidden")]
    + [("held_out", "../0"), ("held_out", -1), ("seed", "../0"), ("seed", -1), ("seed", "x")],
)  # fmt: skip
def test_run_keys_that_lead_elsewhere(archive: Path, tmp_path: Path, key: str, value):
    def change(one, content):
        one["run"][key] = value
        folder = "runs/{protocol}/{dataset}/{model}/held-out-{held_out}/seed-{seed}".format_map(
            {**one["run"], "held_out": one["run"]["held_out"] or "none"}
        )
        for name in one["files"]:
            del content[name]
        one["files"] = {}
        for name in NAMES:
            one["files"] |= entry(f"{folder}/{name}", b"evil")
            content[f"{folder}/{name}"] = b"evil"

    forge(archive, change)
    refused(archive, tmp_path / "there" / "results")
    assert not (tmp_path / "there").exists()


def test_another_runs_files(archive: Path, tmp_path: Path):
    def change(one, content):
        one["run"]["seed"] = 11

    forge(archive, change)
    refused(archive, tmp_path / "there", "is no file of a run, or is not listed with it")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_not_whole(archive: Path, tmp_path: Path, name: str):
    def change(one, content):
        lost = next(member for member in one["files"] if member.endswith(name))
        del one["files"][lost], content[lost]

    forge(archive, change)
    refused(archive, tmp_path / "there", name)


def test_a_link_in_an_archive_becomes_no_link(archive: Path, tmp_path: Path):
    content = members(archive)
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in content.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            packed.writestr(info, data)
    import_runs(archive, tmp_path / "there")
    assert not any(path.is_symlink() for path in (tmp_path / "there").rglob("*"))


# --- the command line -------------------------------------------------------------------------


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "ffensembles.study.export", *map(str, words)]
    return subprocess.run(given, capture_output=True, text=True, check=False)


def test_both_commands(results: Path, tmp_path: Path):
    archive, there = tmp_path / "runs.zip", tmp_path / "there"
    done = command("export", results, archive)
    assert (done.returncode, done.stdout) == (0, f"{archive}: 3 runs exported\n")
    done = command("import", archive, there)
    assert (done.returncode, done.stdout) == (0, f"{archive}: 3 runs imported\n")
    assert files(there) == files(results)


def test_a_warning_is_no_error(results: Path, archive: Path):
    make(results, RUNS[1], seed=7)
    done = command("import", archive, results)
    assert (done.returncode, done.stdout) == (0, f"{archive}: 0 runs imported\n")
    assert done.stderr.startswith(f"{folder(results, RUNS[1])}: is there with other content")
    assert done.stderr.count("\n") == 1
    done = command("import", archive, results, "--replace")
    assert (done.stdout, done.stderr) == (f"{archive}: 1 run imported\n", "")


def test_an_error_is_one_line(tmp_path: Path, capsys):
    for words in (["export", tmp_path, "runs.zip"], ["import", tmp_path / "runs.zip", tmp_path]):
        assert main(list(map(str, words))) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(str(tmp_path))
        assert said.err.count("\n") == 1


def test_commands_that_cannot_be(capsys):
    for words in ([], ["export", "results"], ["export", "results", "runs.zip", "--replace"]):
        with pytest.raises(SystemExit, match="2"):
            main(words)
    assert "usage" in capsys.readouterr().err


def test_packing_imports_nothing_slow():
    slow = ("torch", "scipy", "matplotlib", "rocrate")
    assert brought_along("import ffensembles.study.export", slow) == []


def test_readings_go_with_the_runs_that_have_them(results, tmp_path):
    with_them, without, _ = RUNS
    written = add_readings(results, with_them).read_bytes()
    export_runs(results, tmp_path / "runs.zip")
    import_runs(tmp_path / "runs.zip", tmp_path / "there")
    assert (folder(tmp_path / "there", with_them) / Cache.readings).read_bytes() == written
    assert not (folder(tmp_path / "there", without) / Cache.readings).exists()
    cached = list((tmp_path / "there" / PATTERNS["cache"]).glob(f"*/{Cache.readings}"))
    assert [path.read_bytes() for path in cached] == [written]


def test_readings_of_another_training_are_left_out(results, tmp_path, caplog):
    path = add_readings(results, RUNS[0], "0" * 64)
    export_runs(results, tmp_path / "runs.zip")
    assert f"{path}: is of another training" in caplog.text
    import_runs(tmp_path / "runs.zip", tmp_path / "there")
    assert not (folder(tmp_path / "there", RUNS[0]) / Cache.readings).exists()


def test_damaged_readings_are_named(results, tmp_path):
    path = add_readings(results, RUNS[0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=f"{Cache.readings}: "):
        export_runs(results, tmp_path / "runs.zip")
