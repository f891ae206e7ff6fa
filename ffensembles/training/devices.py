"""Choice of the device: the CPU with a number of threads, or one of the GPUs."""

import ctypes
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch

from ffensembles.errors import TrainingError
from ffensembles.models.plain import Task
from ffensembles.models.recipe import Recipe
from ffensembles.training.evaluation import TestImages

if TYPE_CHECKING:
    from ffensembles.datasets.prepare import Presentations


def choose(wanted: str, threads: int, gpus: int | None = None) -> torch.device:
    """Choose the device of a job and set the number of threads of the CPU.

    Training and read-out both ask here. Only the GPUs that CUDA_VISIBLE_DEVICES names are seen. Of
    these, the one with the most free memory is taken that no other process of this user has
    chosen, so that jobs which start together on a workstation use different GPUs.

    Parameters
    ----------
    wanted
        `cpu`; `cuda`; `auto`, a GPU if there is one.
    threads
        Of the CPU.
    gpus
        How many GPUs the rule asks for; with 0 the job computes on the CPU, even on a node where
        it could see GPUs that other jobs were given. None: the rule does not say.

    Raises
    ------
    TrainingError
        If `cuda` is wanted and there is no GPU.
    """
    torch.set_num_threads(max(1, threads))
    _keep_freed_memory()
    if gpus == 0 or wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
        raise TrainingError(
            "training.device: cuda is wanted but torch sees no GPU "
            f"(CUDA_VISIBLE_DEVICES is {visible}); write auto or cpu, or install a CUDA torch."
        )
    n = torch.cuda.device_count()
    gigabytes = [torch.cuda.mem_get_info(index)[0] >> 30 for index in range(n)]
    index = _claim(sorted(range(n), key=lambda index: -gigabytes[index]))
    torch.cuda.set_device(index)  # graphs are captured on the current GPU's streams alone
    return torch.device("cuda", index)


_claims: list[IO[str]] = []  # open as long as this process lives


def _claim(indices: Sequence[int]) -> int:
    """Return the first GPU that is free, and mark it as taken until this process ends.

    Where all are taken, the first of all.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in sorted(indices)]
    for index in indices:
        name = names[index].replace("/", "-")  # of a part of a GPU, with older drivers
        path = Path(tempfile.gettempdir(), f"ffensembles-{os.getuid()}-gpu-{name}.lock")
        claim = path.open("a")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return index
    return indices[0]


def _keep_freed_memory() -> None:
    """Let the C library keep memory that one block frees, for the next block.

    By default it hands arrays of some megabytes back to the system at once, and half of a blocked
    pass goes into fetching zeroed pages again. Where the library is not glibc nothing is done.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 256 << 20)


def describe(device: torch.device) -> str:
    """Name a device for a result's provenance."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}"
    return f"cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def free_memory(device: torch.device) -> str:
    """Say how much of a GPU's memory is free."""
    free, total = torch.cuda.mem_get_info(device)
    return f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB are free"


@contextmanager
def precision(kind: str) -> Iterator[None]:
    """Compute matrix products on a GPU in `float32`, `tf32` or `bf16` while inside."""
    former = torch.get_float32_matmul_precision()
    names = {"float32": "highest", "tf32": "high", "bf16": "medium"}
    torch.set_float32_matmul_precision(names[kind])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(former)


def task(
    images: "Presentations", recipe: Recipe, seed: int, held_out: int | None, device: torch.device
) -> Task:
    """Put a run's training images on a device."""
    return Task(
        recipe,
        seed,
        torch.from_numpy(images.x).to(device),
        torch.from_numpy(images.labels).to(device),
        torch.from_numpy(images.on).to(device),
        torch.from_numpy(np.asarray(images.positions)).to(device),
        held_out,
    )


def test_images(images: "Presentations", device: torch.device) -> TestImages:
    """Put test images on a device."""
    arrays = (torch.from_numpy(a).to(device) for a in (images.x, images.labels, images.on))
    return TestImages(*arrays)
