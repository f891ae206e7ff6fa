"""What is redone when something changes: exactly what depends on it."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from workplace import ROOT, TINY, Workplace, environment, planned

from ffensembles.config import load_config
from ffensembles.runs import Run
from ffensembles.study import Study
from ffensembles.training.budget import GPUS, resources, shape_of

TRAINING_JOB = re.compile(
    r"Job \d+: Training .*\n"
    r"Reason: .*?/blocks/([^/]+)/([^/]+)/([^/]+)/held-out-([^/]+)/(seeds-[-0-9]+)\.json.*\n"
    r"Resources: mem_mb=(\d+), runtime=(\d+), gpu=(\d+), threads=(\d+)\n"
)
"""A job of a dry run: protocol, data set, model, class held out, seeds; then its resources."""

PER_RUN = {"train_run", "read_activations", "find_ensembles"}


def test_nothing_is_left_to_do(finished: Workplace):
    assert finished.jobs("all") == {}


def test_touching_the_library_after_a_checkout_redoes_nothing(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    for path in place.folder.glob("ffensembles/**/*.py"):
        path.touch()
    assert place.jobs("all") == {}


def test_a_comment_in_a_script_redoes_nothing(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    for path in place.folder.glob("scripts/*.py"):
        path.write_text(path.read_text() + "# a comment\n")
    assert place.jobs("all") == {}


def test_a_slow_clock_redoes_nothing(finished: Workplace, tmp_path: Path):
    """Outputs of a machine whose clock is behind look older than what they were made from."""
    place = finished.copy(tmp_path / "copy")
    for path in place.results.rglob("*"):
        if path.is_file() and path.suffix in {".safetensors", ".json", ".zip", ".csv", ".parquet"}:
            seconds = sum(path.name.encode()) % 20
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))
    assert place.jobs("all") == {}


def test_what_was_trained_once_is_taken_not_trained_again(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    weights = next(place.results.glob("runs/*/*/BP/*/seed-1/weights.safetensors"))
    before = weights.read_bytes()
    weights.unlink()
    done = place.start(str(weights.relative_to(place.folder)))
    assert done.returncode == 0, done.stdout[-3000:]
    assert "seed 1 is trained already" in done.stdout
    assert weights.read_bytes() == before


def test_a_block_of_runs_shares_a_job_and_stays_runs(finished: Workplace, fresh: Workplace):
    three: dict[str, Any] = {
        "training": {**TINY["training"], "runs_per_job": 3},
        "models": ["FF", "BP"],
        "held_out": [],
    }
    done = fresh.start("training", **three)
    assert done.returncode == 0, done.stdout[-3000:]
    assert fresh.jobs("training", **three) == {}
    weights = sorted(fresh.results.glob("runs/**/weights.safetensors"))
    assert len(weights) == 4
    for path in weights:
        alone = finished.results / path.relative_to(fresh.results)
        assert alone.read_bytes() == path.read_bytes()
    more = fresh.start("training", seeds=[0, 1, 2], **three)
    assert more.returncode == 0, more.stdout[-3000:]
    trained = re.findall(r"(?:FF layer 1|BP), seed (\d): accuracy", more.stdout)
    assert trained == ["2"] * 2  # and no other
    # the job that takes a run runs where the workflow was started, and must not train there
    lost = weights[0]
    sound = lost.read_bytes()
    lost.unlink()
    shutil.rmtree(fresh.results / "cache")
    told = fresh.start("training", seeds=[0, 1, 2], **three)
    assert told.returncode != 0
    (report,) = set(re.findall(r"delete (\S+/seeds-\S+\.json) and start", told.stdout))
    assert not lost.exists()
    (fresh.folder / report).unlink()  # as the message says
    done = fresh.start("training", seeds=[0, 1, 2], **three)
    assert done.returncode == 0, done.stdout[-3000:]
    assert lost.read_bytes() == sound


def test_a_figures_parameter_redoes_that_figure(finished: Workplace):
    other = {"editions": {"2023": {"figures": {"figure3": {"categories": [1, 7]}}}}}
    assert finished.jobs("figures", **other) == {"draw_figure": 1, "figures": 1}
    assert finished.jobs("all", **other) == {
        "draw_figure": 1,
        "write_configuration": 1,
        "make_report": 1,
        "all": 1,
    }


def test_one_figure_alone_needs_only_what_it_shows(fresh: Workplace):
    wanted = fresh.jobs("figure3")
    assert wanted == fresh.jobs("results/figures/2023/figure3.pdf") | {"figure3": 1}
    assert wanted["draw_figure"] == 1
    assert not {"tidy_frame", "regression", "sample_activations", "make_report"} & wanted.keys()


def test_method_2s_epsilon_redoes_method_2_and_what_follows(finished: Workplace):
    jobs = finished.jobs("all", ensembles={"method2": {"epsilon": 0.1}})
    assert jobs["find_ensembles"] == 7
    assert not {"train_run", "read_activations", "sample_activations"} & jobs.keys()
    assert {"measure_whole", "measure_held_out", "tidy_frame", "regression"} <= jobs.keys()


def test_a_new_seed_adds_runs(finished: Workplace):
    jobs = finished.jobs("all", seeds=[0, 1, 2])
    assert jobs["train_run"] == jobs["read_activations"] == 3
    assert jobs["find_ensembles"] == jobs["measure_whole"] == 3


def test_leaving_a_model_out_trains_nothing_and_removes_nothing(finished: Workplace):
    jobs = finished.jobs("all", models=["FF", "BP"])
    assert not PER_RUN & jobs.keys()
    assert list(finished.results.glob("runs/*/*/BPFF/*/*/weights.safetensors"))


def test_how_to_compute_changes_no_result(finished: Workplace):
    only_the_report = {"write_configuration": 1, "make_report": 1, "all": 1}
    changed = {"checkpoint_minutes": 9, "record_every": 3, "block_size": 512}
    assert finished.jobs("all", training=changed) == only_the_report


def test_a_library_function_redoes_what_rests_on_it(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    module = place.folder / "ffensembles" / "plotting" / "kinds" / "weights.py"
    module.write_text(module.read_text() + "\nCHANGED = True\n")
    assert place.jobs("figures") == {"draw_figure": 1, "figures": 1}
    module = place.folder / "ffensembles" / "ensembles" / "loo.py"
    module.write_text(module.read_text() + "\nCHANGED = True\n")
    jobs = place.jobs("all")
    assert jobs["find_ensembles"] == 7
    assert "train_run" not in jobs


def test_bad_configuration_is_told_before_anything_runs(fresh: Workplace):
    done = fresh.start("all", models=["FF", "BPF"])
    assert done.returncode != 0
    assert "models[1]" in done.stdout
    assert "BPFF" in done.stdout
    assert "Traceback" not in done.stdout
    assert not fresh.results.exists()


def test_a_killed_training_leaves_nothing_that_is_trusted(fresh: Workplace):
    """Snakemake and its jobs are killed in the middle; started again, everything is made."""
    target = "results/runs/sigmoid-linf/digits/FF/held-out-none/seed-0/weights.safetensors"
    long = {"recipes": {"sigmoid-linf": {"FF": {"epochs": 1500, "learning_rate": 0.02}}}}
    log = fresh.results / "logs/training/sigmoid-linf/digits/FF/held-out-none/seed-0.log"
    process = subprocess.Popen(
        fresh.command(target, training={"checkpoint_minutes": 0.01}, **long),
        cwd=fresh.folder,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoint = (fresh.folder / target).with_name("checkpoint.safetensors")
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.1)
    assert checkpoint.exists(), log.read_text() if log.exists() else "no log"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (fresh.folder / target).exists()
    assert fresh.start("--unlock", **long).returncode == 0
    again = fresh.start(target, "--rerun-incomplete", **long)
    assert again.returncode == 0, again.stdout[-3000:]
    assert "continuing at stage" in log.read_text()
    assert (fresh.folder / target).exists()
    assert not checkpoint.exists()


def test_profiles_write_to_folders_of_their_own(fresh: Workplace):
    written = set()
    profiles = (["--profile", f"profiles/{name}"] for name in ("demo", "laptop", "reference"))
    for words in (*profiles, []):
        done = subprocess.run(
            [*fresh.command()[:3], "write_configuration", *words, "--cores", "2", "--dry-run"],
            cwd=fresh.folder,
            env=environment(),
            text=True,
            capture_output=True,
            check=True,
        )
        said = done.stdout + done.stderr
        written.add(next(word for word in said.split() if word.endswith("configuration.yaml")))
    assert written == {
        "results/demo/configuration.yaml",
        "results/laptop/configuration.yaml",
        "results/reference/configuration.yaml",
        "results/configuration.yaml",
    }


def test_the_dgx_profile_lists_both_editions_and_what_each_training_asks_for(fresh: Workplace):
    done = subprocess.run(
        [*fresh.command()[:3], "--profile", "dgx", "all", "control", "-n"],
        cwd=fresh.folder,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    said = done.stdout + done.stderr
    jobs, asked = planned(said), TRAINING_JOB.findall(said)
    assert jobs["train_block"] == len({found[:5] for found in asked})
    assert jobs["train_block"] < jobs["train_run"] / 3  # most share a job with other seeds
    runs = {found[:4]: 0 for found in asked}
    for *kind, seeds, _, _, _, _ in asked:
        runs[tuple(kind)] += len(seeds.removeprefix("seeds-").split("-"))
    assert jobs["train_run"] == jobs["find_ensembles"] == sum(runs.values())
    # of each edition the runs that were published: three models on two data sets, and FF without
    # each of ten classes
    for protocol, seeds, held_out in (("sigmoid-linf", 15, 150), ("relu-l2", 10, 100)):
        own = {kind: n for kind, n in runs.items() if kind[0] == protocol}
        assert [n for kind, n in own.items() if kind[3] == "none"] == [seeds] * 6
        assert sum(n for kind, n in own.items() if kind[3] != "none") == held_out
    study = Study.of(load_config(ROOT / "config.yaml", ROOT / "profiles/dgx/study.yaml"))
    for protocol, dataset, model, held_out, seeds, *found in asked:
        run = Run(protocol, dataset, model, None if held_out == "none" else int(held_out), 0)
        shape = shape_of(dataset, study.grid.images(run))
        block_size = study.config.training.block_size
        n = len(seeds.removeprefix("seeds-").split("-"))
        needed = resources(study.grid.recipe(run), shape, n, GPUS["A100"], block_size)
        assert found == [str(needed["mem_mb"]), str(needed["runtime"]), "1", "8"]


def test_a_missing_data_file_is_told_in_one_message(fresh: Workplace, tmp_path: Path):
    nowhere = {"source": str(tmp_path / "empty"), "folder": str(tmp_path / "data")}
    environment_ = {"data": nowhere, "datasets": ["svhn"], "held_out": []}
    done = fresh.start("results/data/svhn.json", **environment_)
    assert done.returncode != 0
    assert "svhn: train_32x32.mat could not be downloaded or found" in done.stdout
    assert "FFENSEMBLES_DATA" in done.stdout


def test_temporary_activations_go_and_are_read_anew_from_the_weights(fresh: Workplace):
    study = {
        "activations": {"temporary": True, "mantissa_bits": 10},
        "models": ["FF"],
        "seeds": [0],
        "held_out": [],
    }
    done = fresh.start("table2", **study)
    assert done.returncode == 0, done.stdout[-3000:]
    assert not list(fresh.results.rglob("activations.zarr.zip"))
    assert fresh.jobs("table2", **study) == {}
    wanted = fresh.jobs("figure1", **study)
    assert wanted["read_activations"] == wanted["draw_figure"] == 1
    assert "train_run" not in wanted
    done = fresh.start("figure1", **study)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (fresh.results / "figures/2023/figure1.pdf").exists()
    assert not list(fresh.results.rglob("activations.zarr.zip"))


def test_a_new_data_set_measures_no_run_again(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    entries = place.folder / "ffensembles/datasets/entries"
    text = (entries / "digits.py").read_text()
    (entries / "mine.py").write_text(text.replace('name="digits"', 'name="mine"'))
    jobs = place.jobs("all")
    assert "make_report" in jobs  # the new file is seen
    of_runs = {"measure_whole", "measure_held_out", "measure_dissimilarities", "measure_probes"}
    assert not (PER_RUN | of_runs) & jobs.keys()
