"""A training step as a CUDA graph, and what is done where that or the step itself fails.

A GPU finishes most kernels of a small net faster than the host can start them. A CUDA graph holds
all kernels of a step and starts them by one call. Recording (*capture*) asks that a step reads
nothing back to the host, allocates nothing by data and stays on one device.

All failures are handled here, each with a message in the log:

=================================  ==============================================================
failure                            what is done
=================================  ==============================================================
capture is refused                 steps are taken without a graph: slower, same results
out of memory while capturing      the same
out of memory in a later step      graphs are released and the step is repeated; if that does not
                                   suffice, the block size is halved; if that does not suffice
                                   either, `torch.OutOfMemoryError` is raised, and
                                   `training.run` trains fewer runs at a time
the device no longer answers       `DeviceLost` is raised, and `training.run` continues on the CPU
                                   from the last checkpoint
=================================  ==============================================================
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ffensembles.errors import TrainingError

log = logging.getLogger(__name__)

EAGER_STEPS = 3
"""Steps taken before the first capture: libraries initialise themselves in them."""


class DeviceLost(TrainingError):  # noqa: N818 - named for what happened
    """A GPU that answered before no longer does."""


class Replay(Protocol):
    """A recorded step."""

    def __call__(self, rows: Tensor | None) -> None:
        """Take the step on the given rows."""


@dataclass
class Graph:
    """A step recorded as a CUDA graph."""

    graph: "torch.cuda.CUDAGraph"
    rows: Tensor | None

    def __call__(self, rows: Tensor | None) -> None:
        """Take the step, on other rows if it has any."""
        if self.rows is not None and rows is not None:
            self.rows.copy_(rows)
        self.graph.replay()


def record(step: Callable[[Tensor | None], None], rows: Tensor | None) -> Replay:
    """Record a step as a CUDA graph. Nothing is computed meanwhile.

    Raises
    ------
    RuntimeError
        If the step cannot be captured, or memory does not suffice for it.
    """
    own = None if rows is None else rows.clone()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(own)
    return Graph(graph, own)


def answers(device: torch.device) -> bool:
    """Whether a device still computes. After some errors a GPU is lost to its process."""
    try:
        return int((torch.ones(2, device=device) + 1).sum()) == 4
    except RuntimeError:
        return False


@contextmanager
def watched(device: torch.device) -> Iterator[None]:
    """Tell the loss of a device from other errors while inside.

    A GPU reports an error when results are next read, wherever that is. So all of a training is
    watched, not its steps alone.

    Raises
    ------
    DeviceLost
        After an error, if the device no longer answers.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if answers(device):
            raise
        raise DeviceLost(f"{device} no longer answers ({_first_line(error)}).") from error


class Steps:
    """Takes a stage's training steps by the fastest way that works.

    Parameters
    ----------
    gradients
        Computes all gradients from the given rows (runs, batch), or from all for None. It starts
        from zero, so that it can be repeated.
    update
        Moves the weights by the gradients. It is never repeated.
    device
        Where the stage computes.
    smaller_blocks
        Halves the stage's block size; returns the new one, or None if it is the smallest already.
    capture
        Whether to capture steps.
    recorder
        Records a step, see `record`.
    """

    def __init__(
        self,
        gradients: Callable[[Tensor | None], None],
        update: Callable[[], None],
        device: torch.device,
        smaller_blocks: Callable[[], int | None],
        capture: bool,
        recorder: Callable[[Callable[[Tensor | None], None], Tensor | None], Replay] = record,
    ) -> None:
        self.gradients, self.update, self.device = gradients, update, device
        self.smaller_blocks, self.capture, self.recorder = smaller_blocks, capture, recorder
        self.replays: dict[int, Replay] = {}  # by batch size, -1 for the full batch
        self.eager: dict[int, int] = {}  # steps taken without a graph, by batch size

    def take(self, rows: Tensor | None) -> None:
        """Take one step.

        Raises
        ------
        torch.OutOfMemoryError
            If memory does not suffice with the smallest blocks.
        """
        while True:
            try:
                replay = self._replay(rows)
                if replay is not None:
                    replay(rows)
                    return
                self.gradients(rows)
                break
            except torch.OutOfMemoryError as error:
                if not self._relieve(error):
                    raise
            self.release()  # by now the error is gone, whose traceback held the step's arrays
        self.update()

    def release(self) -> None:
        """Free the memory that graphs hold."""
        self.replays.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _replay(self, rows: Tensor | None) -> Replay | None:
        """Return the recorded step for these rows; record it when it is time to."""
        if not self.capture:
            return None
        size = -1 if rows is None else rows.shape[1]
        if size not in self.replays:
            taken = self.eager[size] = self.eager.get(size, 0) + 1
            if taken <= EAGER_STEPS:
                return None
            try:
                self.replays[size] = self.recorder(self._whole, rows)
            except RuntimeError as error:
                self._without_graphs(error)
        if not self.capture:
            self.release()  # by now the error is gone, whose traceback held the step's arrays
            return None
        return self.replays[size]

    def _whole(self, rows: Tensor | None) -> None:
        self.gradients(rows)
        self.update()

    def _without_graphs(self, error: RuntimeError) -> None:
        """Take all further steps without graphs."""
        self.capture = False
        memory = isinstance(error, torch.OutOfMemoryError)
        why = "memory does not suffice" if memory else _first_line(error)
        log.warning(
            "steps are not captured as CUDA graphs (%s); training continues without them, slower",
            why,
        )

    def _relieve(self, error: torch.OutOfMemoryError) -> bool:
        """Make room after an error; return whether the step should be repeated."""
        if self.replays:
            self.capture = False
            log.warning(
                "out of memory (%s): CUDA graphs are released; training continues without them, "
                "slower",
                _first_line(error),
            )
        else:
            size = self.smaller_blocks()
            if size is None:
                return False
            log.warning(
                "out of memory (%s): blocks of %d presentations from now on, slower; sums are "
                "rounded in another order. To start with these set training.block_size lower",
                _first_line(error),
                size,
            )
        return True


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
