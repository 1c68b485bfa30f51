"""Replay buffer: a preallocated ring of transitions."""

from __future__ import annotations

import errno
import mmap
import shutil
import tempfile
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.arrays import check_shapes
from pricerl.errors import UsageError


class Transition(NamedTuple):
    """``B`` env steps, one per row."""

    observation: Tensor
    """``(B, O)``."""

    action: Tensor
    """``(B, A)``."""

    reward: Tensor
    """``(B,)``."""

    discount: Tensor
    """Discount of the next state's value: gamma, or 0 after termination, ``(B,)``."""

    next_observation: Tensor
    """One step later, ``(B, O)``."""


class ReplayBuffer:
    """A ring of transitions in one preallocated float32 tensor; the newest overwrite the oldest.

    Each row of the tensor ``(capacity, 2 O + A + 2)`` holds one transition. Sampling is uniform with replacement, from
    the buffer's own generator. Transitions are numbered from 0 in the order in which they are added: number ``n`` is in
    row ``n % capacity``. ``added``, the rows and the generator's state are everything that later samples depend on.

    Above ``memory_limit`` a buffer on the CPU is mapped to a sparse, unnamed file in the temporary folder, which
    disappears with the buffer. Samples do not change. If other files later fill the disk, the system kills the process.

    Args:
        capacity: largest number of transitions.
        observation_dim: ``O``.
        action_dim: ``A``.
        device: device of the rows and of the samples.
        seed: seed of the sampling generator.
        memory_limit: bytes above which a CPU buffer is mapped to a file; None for no limit. Ignored on other devices.

    Attributes:
        added: transitions added so far, also those that have been overwritten.
        is_memory_mapped: whether the rows are in a file rather than in memory.

    Raises:
        UsageError: the temporary folder cannot be used, or its disk has too little space.
    """

    added = 0

    def __init__(
        self,
        capacity: int,
        observation_dim: int,
        action_dim: int,
        device: torch.device | str = "cpu",
        seed: int = 0,
        memory_limit: int | None = None,
    ) -> None:
        self.capacity = capacity
        self.device = torch.device(device)
        self._widths = [observation_dim, action_dim, 1, 1, observation_dim]
        shape = capacity, sum(self._widths)
        nbytes = shape[0] * shape[1] * torch.float32.itemsize
        self.is_memory_mapped = self.device.type == "cpu" and memory_limit is not None and nbytes > memory_limit
        if self.is_memory_mapped:
            self._rows = torch.frombuffer(_map_file(nbytes), dtype=torch.float32).view(shape)
        else:
            self._rows = torch.zeros(shape, dtype=torch.float32, device=self.device)
        # Reused by every sample: a new allocation can cost more than the sampling.
        self._drawn = torch.empty(0, device=self.device)
        self._generator = torch.Generator(self.device).manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of transitions in the buffer."""
        return min(self.added, self.capacity)

    def add(self, transition: Transition) -> None:
        """Store ``B`` transitions of any precision and device in order; of too many only the last ones are kept.

        Raises:
            ValueError: a shape is not as `Transition` documents; then nothing is stored.
        """
        named = zip(Transition._fields, transition, ("BO", "BA", "B", "B", "BO"), strict=True)
        check_shapes(*named, sizes={"O": self._widths[0], "A": self._widths[1]})
        columns = [field.reshape(-1, width) for field, width in zip(transition, self._widths, strict=True)]
        self._write(torch.cat(columns, 1).detach())

    def sample(self, batch_size: int) -> Transition:
        """Draw ``batch_size`` transitions uniformly, with replacement, as contiguous copies on the buffer's device."""
        index = torch.randint(len(self), (batch_size,), generator=self._generator, device=self.device)
        rows = torch.index_select(self._rows, 0, index, out=self._drawn.resize_(batch_size, self._rows.shape[1]))
        observation, action, reward, discount, next_observation = rows.split_with_sizes(self._widths, 1)
        fields = observation, action, reward.squeeze(1), discount.squeeze(1), next_observation
        # Copies: a compiled update relies on all batches having the same strides.
        return Transition(*(field.clone(memory_format=torch.contiguous_format) for field in fields))

    def sample_many(self, num_batches: int, batch_size: int) -> list[Transition]:
        """Draw several batches at once, by splitting one long `sample`."""
        rows = self.sample(num_batches * batch_size)
        return [Transition(*batch) for batch in zip(*(field.chunk(num_batches) for field in rows), strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return the arguments of `restore`."""
        return {"rows": self.rows(), "added": self.added, "generator_state": self._generator.get_state()}

    def rows(self) -> Tensor:
        """Return copies of all transitions as rows ``(N, 2 O + A + 2)``, the oldest first."""
        return self._rows[: len(self)].roll(-self.added, 0)

    def restore(self, rows: Tensor, added: int, generator_state: Tensor) -> None:
        """Continue another buffer from its `rows`, even if device, capacity or storage have changed.

        With the same capacity the buffer continues exactly; with another one it numbers its transitions anew, and a
        smaller one keeps the newest. On another type of device the generator keeps its own state.

        Args:
            rows: what `rows` returned.
            added: transitions added so far.
            generator_state: state of the sampling generator.
        """
        self.added = added - len(rows) if len(rows) == self.capacity else 0
        self._write(rows)
        if generator_state.shape == self._generator.get_state().shape:
            self._generator.set_state(generator_state.cpu())

    def _write(self, new: Tensor) -> None:
        """Copy ``(B, 2 O + A + 2)`` rows into the ring."""
        self.added += len(new)
        kept = new[-self.capacity :]
        numbers = torch.arange(self.added - len(kept), self.added, device=self.device)
        self._rows[numbers % self.capacity] = kept.to(self._rows)


def _map_file(nbytes: int) -> mmap.mmap:
    """Return zeros in a sparse file without a name, or raise a ``UsageError`` if the temporary folder has no place."""
    folder = tempfile.gettempdir()
    remedy = "choose a smaller model.algorithm.buffer_capacity, or another folder with the environment variable TMPDIR"
    try:
        free = shutil.disk_usage(folder).free
        if nbytes > free:
            raise OSError(errno.ENOSPC, f"{free:,} bytes are free")
        with tempfile.TemporaryFile(prefix="pricerl-replay-", dir=folder) as file:
            file.truncate(nbytes)
            return mmap.mmap(file.fileno(), nbytes)  # keeps the file after it is closed
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot make the replay buffer's file of {nbytes:,} bytes here ({error.strerror}); {remedy}"
        ) from error
