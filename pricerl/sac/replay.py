"""Replay buffer: a preallocated ring of transitions."""

from __future__ import annotations

import mmap
import shutil
import tempfile
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.sac.checks import check_shapes

_ROWS_PER_COPY = 65_536
"""Transitions per copy when a state is loaded, which bounds the extra memory to 34 MB at 63 observation columns."""


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

    Each row of the tensor ``(capacity, 2 O + A + 2)`` holds one transition contiguously: adding it is one copy, and
    sampling reads one row per transition. Sampling is uniform with replacement, from the buffer's own generator.

    The tensor is allocated at once: 51 MB for 100,000 transitions of 63 observation columns and one action, 5.12 GB for
    10 million. Above ``memory_limit``, a buffer on the CPU is mapped to an unnamed file in the temporary folder, which
    the system caches as far as memory allows; samples do not change. The file is sparse, grows as transitions are
    added, and disappears with the buffer, even if the process crashes. If other files later fill the disk, the system
    kills the process.

    Args:
        capacity: largest number of transitions.
        observation_dim: ``O``.
        action_dim: ``A``.
        device: device of the rows and of the samples.
        seed: seed of the sampling generator.
        memory_limit: bytes above which a CPU buffer is mapped to a file; None for no limit. Ignored on other devices.

    Attributes:
        is_memory_mapped: whether the rows are in a file rather than in memory.

    Raises:
        ValueError: if a size is below 1, or ``memory_limit`` below 0.
        UsageError: if the temporary folder cannot be used, or its disk has too little space.
    """

    def __init__(
        self,
        capacity: int,
        observation_dim: int,
        action_dim: int,
        device: torch.device | str = "cpu",
        seed: int = 0,
        memory_limit: int | None = None,
    ) -> None:
        sizes = capacity, observation_dim, action_dim
        if min(sizes) < 1:
            raise ValueError(f"capacity, observation_dim and action_dim must be 1 or more; found {sizes}")
        if memory_limit is not None and memory_limit < 0:
            raise ValueError(f"memory_limit must be 0 bytes or more, or None; found {memory_limit}")
        self.capacity = capacity
        self.device = torch.device(device)
        self._widths = [observation_dim, action_dim, 1, 1, observation_dim]
        shape = capacity, sum(self._widths)
        nbytes = shape[0] * shape[1] * torch.float32.itemsize
        self.is_memory_mapped = self.device.type == "cpu" and memory_limit is not None and nbytes > memory_limit
        self._rows = (
            torch.frombuffer(_map_file(nbytes), dtype=torch.float32).view(shape)
            if self.is_memory_mapped
            else torch.zeros(shape, dtype=torch.float32, device=self.device)
        )
        # Reused by every sample: a new allocation can cost more than the sampling.
        self._drawn = torch.empty(0, device=self.device)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._position = 0
        self._size = 0

    def __len__(self) -> int:
        """Return the number of transitions in the buffer."""
        return self._size

    @property
    def nbytes(self) -> int:
        """Size of the tensor in bytes, in memory or on disk: ``4 * capacity * (2 O + A + 2)``."""
        return self._rows.nbytes

    def add(self, transition: Transition) -> None:
        """Store ``B`` transitions in order; if they exceed the capacity, only the last ones are kept.

        Args:
            transition: float tensors of any precision, all on one device, not necessarily the buffer's.

        Raises:
            ValueError: if a shape is not as `Transition` documents; then nothing is stored.
        """
        self._check(transition)
        observation, action, reward, discount, next_observation = transition
        columns = observation, action, reward.unsqueeze(1), discount.unsqueeze(1), next_observation
        new = torch.cat(columns, 1).detach()
        count = len(new)
        new = new[-self.capacity :]
        start = (self._position + count - len(new)) % self.capacity
        end = start + len(new)
        if end <= self.capacity:
            self._rows[start:end].copy_(new)
        else:
            before_end = self.capacity - start
            self._rows[start:].copy_(new[:before_end])
            self._rows[: end - self.capacity].copy_(new[before_end:])
        self._position = (self._position + count) % self.capacity
        self._size = min(self._size + count, self.capacity)

    def sample(self, batch_size: int) -> Transition:
        """Draw ``batch_size`` transitions uniformly, with replacement.

        Returns:
            Contiguous copies on the buffer's device.

        Raises:
            ValueError: if the buffer is empty or ``batch_size`` below 1.
        """
        if self._size == 0:
            raise ValueError("the replay buffer is empty; add transitions before sampling")
        if batch_size < 1:
            raise ValueError(f"the number of transitions to sample must be 1 or more; found {batch_size}")
        index = torch.randint(self._size, (batch_size,), generator=self._generator, device=self.device)
        rows = torch.index_select(self._rows, 0, index, out=self._drawn.resize_(batch_size, self._rows.shape[1]))
        # Copies, although views would do for a linear layer: a compiled update relies on all batches having the same
        # strides.
        return Transition(*(field.clone(memory_format=torch.contiguous_format) for field in self._unpack(rows)))

    def sample_many(self, num_batches: int, batch_size: int) -> list[Transition]:
        """Draw several batches at once, by splitting one long `sample`.

        Raises:
            ValueError: if the buffer is empty or a number is below 1.
        """
        if min(num_batches, batch_size) < 1:
            raise ValueError(f"num_batches and batch_size must be 1 or more; found {num_batches} and {batch_size}")
        rows = self.sample(num_batches * batch_size)
        return [Transition(*batch) for batch in zip(*(field.chunk(num_batches) for field in rows), strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part, the position of the next row and the generator's state, as tensors and plain ints.

        The tensors are copies in memory, even of a memory-mapped buffer.
        """
        filled = self._unpack(self._rows[: self._size])
        state: dict[str, Any] = {
            name: field.clone(memory_format=torch.contiguous_format) for name, field in filled._asdict().items()
        }
        return state | {"position": self._position, "generator_state": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved state, even if device, capacity or storage have changed.

        With the same capacity the buffer continues exactly as the saved one would have. A smaller buffer keeps the
        newest transitions. On another type of device the generator keeps its own state.

        Raises:
            ValueError: if the saved transitions differ in shape from this buffer's.
        """
        saved = Transition(*(state[name] for name in Transition._fields))
        self._check(saved)
        count, position = len(saved.reward), int(state["position"])
        # The oldest row is the first, or, once the ring has wrapped, the one that would be overwritten next.
        oldest = position if position < count else 0
        self._position, self._size = (oldest if count == self.capacity else 0), 0
        for first, last in ((oldest, count), (0, oldest)):
            for start in range(first, last, _ROWS_PER_COPY):
                self.add(Transition(*(field[start : min(start + _ROWS_PER_COPY, last)] for field in saved)))
        if state["generator_state"].shape == self._generator.get_state().shape:
            self._generator.set_state(state["generator_state"].cpu())

    def _unpack(self, rows: Tensor) -> Transition:
        """Return the fields of ``(B, 2 O + A + 2)`` rows as views."""
        observation, action, reward, discount, next_observation = rows.split_with_sizes(self._widths, 1)
        return Transition(observation, action, reward.squeeze(1), discount.squeeze(1), next_observation)

    def _check(self, transition: Transition) -> None:
        named = zip(Transition._fields, transition, ("BO", "BA", "B", "B", "BO"), strict=True)
        check_shapes(*named, sizes={"O": self._widths[0], "A": self._widths[1]})


def _map_file(nbytes: int) -> mmap.mmap:
    """Return zeros in a sparse file without a name.

    Raises:
        UsageError: if the temporary folder cannot be used or its disk has too little space.
    """
    folder = tempfile.gettempdir()
    remedy = "choose a smaller model.algorithm.buffer_capacity, or another folder with the environment variable TMPDIR"
    try:
        free = shutil.disk_usage(folder).free
        if nbytes > free:
            raise UsageError(
                f"{folder}: the replay buffer needs {nbytes:,} bytes on disk and {free:,} bytes are free; {remedy}"
            )
        with tempfile.TemporaryFile(prefix="pricerl-replay-", dir=folder) as file:
            file.truncate(nbytes)
            return mmap.mmap(file.fileno(), nbytes)  # keeps the file after it is closed
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot make the replay buffer's file of {nbytes:,} bytes here ({error.strerror}); {remedy}"
        ) from error
