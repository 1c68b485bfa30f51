"""Messages between the ranks of a run, and the error when a rank is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor

from pricerl.errors import EXIT_BUG, LostRankError
from pricerl.terminal import write_lines

ANSWER_WITHIN = timedelta(seconds=20)
"""Time within which every rank must answer a message of training. Ranks collect and update in step, so they wait for
each other for milliseconds; 20 s are enough for a disk to be slow. Naming the loss and ending the others takes another
4 s, and all should have ended within 30 s."""

START_WITHIN = timedelta(minutes=10)
"""Time within which every rank must answer any other message: fitting markets, planning, compiling, evaluations and
saves may take minutes, and longer on some ranks than on others."""

NOTICED_WITHIN = 20.0
"""Seconds after a rank's end that the others have to notice it in their next message."""

REMEDY = "start again from the last checkpoint with fit --ckpt_path last"

_PARENT = os.getppid()


class Ranks:
    """Messages of training between all ranks of an initialized process group.

    Messages wait for the other ranks for `START_WITHIN` until `settle` is called, and for `ANSWER_WITHIN` from then on.

    Args:
        children: processes of the other ranks that this one has started.
    """

    def __init__(self, children: list[subprocess.Popen[bytes]]) -> None:
        self._children, self.size = children, torch.distributed.get_world_size()
        self._group: torch.distributed.ProcessGroup | None = None

    @property
    def settled(self) -> bool:
        """Whether `settle` was called."""
        return self._group is not None

    def settle(self) -> None:
        """Wait less long for the other ranks in messages of training: all have planned and compiled by now."""
        self._group = torch.distributed.new_group(timeout=ANSWER_WITHIN)

    def average(self, tensor: Tensor) -> None:
        """Replace a tensor by its mean over the ranks, in one message, the same to the last bit on all.

        Raises:
            LostRankError: a rank has ended or does not answer.
        """
        with lost_ranks_named(self._children):
            torch.distributed.all_reduce(tensor, group=self._group)
        tensor.div_(self.size)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks, of one shape, in order, in one message.

        Raises:
            LostRankError: a rank has ended or does not answer.
        """
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with lost_ranks_named(self._children):
            torch.distributed.all_gather(found, tensor, group=self._group)
        return found


@contextmanager
def lost_ranks_named(children: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Replace the error of a message by a sentence that names the rank that was lost.

    The other children are killed: without all ranks no training is possible, and a rank that hangs ignores requests.

    Args:
        children: processes of the ranks from 1 on that this process has started.

    Raises:
        LostRankError: a message failed.
    """
    try:
        yield
    except RuntimeError as error:
        lost = _ended(children)
        for child in children:
            child.kill()
        raise LostRankError(f"training stopped: {lost or _other_reason(error)}; {REMEDY}") from error


def watch(children: list[subprocess.Popen[bytes]]) -> None:
    """End this process if a child has failed and no message has noticed it for `NOTICED_WITHIN` seconds."""
    threading.Thread(target=_watch, args=(children,), daemon=True, name="rank-watch").start()


def _watch(children: list[subprocess.Popen[bytes]]) -> None:
    while not any(child.poll() for child in children):
        if all(child.poll() == 0 for child in children):
            return
        time.sleep(1.0)
    time.sleep(NOTICED_WITHIN)
    write_lines([f"error: training stopped: {_ended(children)}; {REMEDY}"], problems=True)
    for child in children:
        child.kill()
    os._exit(EXIT_BUG)


def _ended(children: list[subprocess.Popen[bytes]], patience: float = 2.0) -> str:
    """Return which children have ended, after up to ``patience`` seconds; nothing if none has.

    Those killed by a signal are named alone, because the others end when they notice.
    """
    end = time.monotonic() + patience
    while not any(child.poll() is not None for child in children) and children and time.monotonic() < end:
        time.sleep(0.05)
    codes = {rank: child.poll() for rank, child in enumerate(children, start=1)}
    killed = [f"rank {rank} was killed by {_name(-code)}" for rank, code in codes.items() if code and code < 0]
    left = [f"rank {rank} ended with exit code {code}" for rank, code in codes.items() if code is not None]
    return " and ".join(killed or left)


def _other_reason(error: RuntimeError) -> str:
    if "timed out" in str(error).lower() or "timeout" in str(error).lower():
        return f"another rank has not answered within {ANSWER_WITHIN.seconds} s"
    if int(os.environ.get("LOCAL_RANK", "0")) and _parent_ended():
        return "rank 0 has ended"
    return f"the connection to another rank broke ({_first_line(error)})"


def _parent_ended(patience: float = 2.0) -> bool:
    """Return whether the parent has ended, after up to ``patience`` seconds: its connections close before it does."""
    end = time.monotonic() + patience
    while os.getppid() == _PARENT and time.monotonic() < end:
        time.sleep(0.05)
    return os.getppid() != _PARENT


def _name(number: int) -> str:
    """Return a signal's name."""
    return signal.Signals(number).name if number in {*signal.Signals} else f"signal {number}"


def _first_line(error: RuntimeError) -> str:
    """Return the first sentence of an error; gloo's go on with advice for programmers."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0]
