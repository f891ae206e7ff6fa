"""The check of a machine: its table, and that faults are found and named with what to set."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.steps import bp
from ffensembles.models.spec import MODELS
from ffensembles.training import check as checks
from ffensembles.training.check import Finding, check, main, table

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
GPU: Any = SimpleNamespace(type="cuda")


@pytest.fixture(autouse=True)
def threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_a_sound_machine_is_ready(capsys: pytest.CaptureFixture[str]):
    assert main(["--device", "cpu", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert said.rstrip().endswith("\nready")
    for spec in MODELS.values():
        for row in ("float64", "float32", "trained twice", "speed"):
            assert f"{spec.title}, {row}" in said
    assert "copy bandwidth" in said


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(checks, "CHECKS", tuple(getattr(checks, name) for name in names))


def test_a_wrong_gradient_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    only(monkeypatch, "check_steps")
    real = bp.add_gradients

    def wrong(stage: BatchedStage, rows: Any, n: int) -> None:
        real(stage, rows, n)
        stage.gradients["layer2.bias"].mul_(1.01)

    monkeypatch.setattr(bp, "add_gradients", wrong)
    assert main(["--device", "cpu"]) == 1
    *rows, advice, last = capsys.readouterr().out.splitlines()
    assert [row.split()[-1] for row in rows[:6]] == ["ok", "ok", "wrong"] * 2
    assert advice.startswith("wrong: BP, float32: gradients differ by ")
    assert advice.endswith("Set training.engine: plain.")
    assert last == "not ready"


def test_results_that_are_not_repeatable_are_found(monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "check_bits")
    real = BatchedStage.update

    def noisy(self: BatchedStage) -> None:
        self.gradients["layer1.bias"].add_(1e-3 * torch.rand(()))
        real(self)

    monkeypatch.setattr(BatchedStage, "update", noisy)
    assert {f.verdict for f in check(CPU)} == {"wrong"}


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "a lower training.block_size"),
        (RuntimeError("CUDA error: no kernel image"), "training.engine: plain; if it still"),
    ],
)
def test_a_check_that_fails_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError, advice: str
):
    def failing(device: torch.device) -> list[Finding]:
        raise error

    monkeypatch.setattr(checks, "CHECKS", (failing, checks.check_devices))
    first, *others = check(CPU)
    assert (first.found, first.verdict) == (str(error), "wrong")
    assert first.advice.startswith(advice)
    assert len(others) >= 2


@pytest.mark.parametrize(
    ("replayed", "captured", "verdict", "said"),
    [
        (1.0, True, "ok", "same bits"),
        (1.0 + 1e-6, True, "ok", "from those without"),
        (1.0, False, "slow", "refused 6 times"),
        (1.1, True, "wrong", "differ by 1.0e-01"),
        (float("nan"), True, "wrong", "differ by nan"),
    ],
)
def test_captured_steps_are_compared(
    monkeypatch: pytest.MonkeyPatch, replayed: float, captured: bool, verdict: str, said: str
):
    def trained(device: Any, recipe: Any, capture: bool) -> tuple[list[torch.Tensor], bool]:
        return [torch.full((3,), replayed if capture else 1.0)], capture and captured

    monkeypatch.setattr(checks, "trained", trained)
    findings = list(checks.check_capture(GPU))
    assert len(findings) == len(MODELS)
    assert {f.verdict for f in findings} == {verdict}
    assert said in findings[0].found


def test_slow_is_told_and_is_no_obstacle():
    text = table([Finding("speed", "9 times the roofline's", "slow", "benchmarks/gpu.py")])
    assert text.splitlines()[-2:] == [
        "slower than it could be: speed: 9 times the roofline's. See benchmarks/gpu.py.",
        "ready",
    ]


def test_a_gpu_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--device", "cuda"]) == 1
    assert "torch sees no GPU" in capsys.readouterr().out


SBATCH = """#!/bin/sh
echo "$@" >> submitted
echo "the table" > gpu-check.log
exit $STATUS
"""


@pytest.mark.parametrize(("status", "skip"), [(0, ""), (1, ""), (1, "0")])
def test_the_batch_script_checks_before_anything_else(tmp_path: Path, status: int, skip: str):
    scripts = {"bin/sbatch": SBATCH, "bin/snakemake": "", "profiles/dgx/resume.sh":
               "#!/bin/sh\necho resumed with $FFENSEMBLES_GPU_CHECK $@"}  # fmt: skip
    for name, text in scripts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    done = subprocess.run(
        ["bash", ROOT / "profiles/dgx/study.sbatch", "all"],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "STATUS": str(status),
            "SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "1", "SLURM_JOB_PARTITION": "p",
            **({"FFENSEMBLES_GPU_CHECK": skip} if skip else {}),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    submitted = tmp_path / "submitted"
    if skip:
        assert not submitted.exists()
    else:
        text = submitted.read_text()
        assert "--wait" in text
        assert "--gpus=1" in text
        assert "--account" not in text
        assert f"'{tmp_path}/bin/python' -m ffensembles.training.check --device cuda" in text
    if status == 0 or skip:
        assert done.returncode == 0, done.stderr
        assert done.stdout == "resumed with 0 all\n"
    else:
        assert done.returncode == 1
        assert "the study is not started:\nthe table" in done.stdout
        assert "resumed" not in done.stdout
