"""What has been lived through, kept for learning: the replay buffer."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pricerl.sac.checks import check_rank, check_shape

_AXES = ("BO", "BA", "B", "B", "BO")


class Transition(NamedTuple):
    """``B`` env steps, one a row."""

    observation: Tensor
    """``(B, O)``."""

    action: Tensor
    """``(B, A)``."""

    reward: Tensor
    """``(B,)``."""

    discount: Tensor
    """Weight of what follows: gamma, or 0 after termination, ``(B,)``."""

    next_observation: Tensor
    """One step later, ``(B, O)``."""


class ReplayBuffer:
    """A ring of transitions in preallocated float32 tensors; the newest overwrite the oldest.

    Memory: ``4 * capacity * (2 O + A + 2)`` bytes, all of it taken at once: 68 MB for 100,000 transitions of 84
    observation columns and one action. Uniform sampling with replacement, from a generator of its own.

    Args:
        capacity: transitions held at most.
        observation_dim: ``O``.
        action_dim: ``A``.
        device: where the tensors live and samples come out.
        seed: start of the sampling generator: same seed, same samples.

    Raises:
        ValueError: if a size is below 1.
    """

    def __init__(
        self, capacity: int, observation_dim: int, action_dim: int, device: torch.device | str = "cpu", seed: int = 0
    ) -> None:
        if min(capacity, observation_dim, action_dim) < 1:
            raise ValueError(
                f"capacity, observation_dim and action_dim must be 1 or more; "
                f"found {capacity}, {observation_dim} and {action_dim}"
            )
        self.capacity = capacity
        self.device = torch.device(device)
        self._rows = Transition(
            observation=torch.zeros(capacity, observation_dim, device=self.device),
            action=torch.zeros(capacity, action_dim, device=self.device),
            reward=torch.zeros(capacity, device=self.device),
            discount=torch.zeros(capacity, device=self.device),
            next_observation=torch.zeros(capacity, observation_dim, device=self.device),
        )
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._position = 0
        self._size = 0

    def __len__(self) -> int:
        """Return the number of transitions held."""
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether the next transition overwrites the oldest."""
        return self._size == self.capacity

    @property
    def nbytes(self) -> int:
        """Bytes that the tensors take."""
        return sum(rows.nbytes for rows in self._rows)

    def add(self, transition: Transition) -> None:
        """Store ``B`` transitions, as if one after the other; of more than the capacity the last ones stay.

        Args:
            transition: tensors of any device and float type.

        Raises:
            ValueError: if a shape is not as `Transition` documents; then nothing is stored.
        """
        self._check(transition)
        count = len(transition.reward)
        skipped = max(count - self.capacity, 0)
        start = (self._position + skipped) % self.capacity
        before_end = min(count - skipped, self.capacity - start)
        for new, rows in zip(transition, self._rows, strict=True):
            kept = new.detach()[skipped:]
            rows[start : start + before_end].copy_(kept[:before_end])
            rows[: len(kept) - before_end].copy_(kept[before_end:])
        self._position = (self._position + count) % self.capacity
        self._size = min(self._size + count, self.capacity)

    def sample(self, batch_size: int) -> Transition:
        """Draw ``batch_size`` transitions uniformly, with replacement.

        Raises:
            ValueError: if the buffer is empty or ``batch_size`` below 1.
        """
        if self._size == 0:
            raise ValueError("the replay buffer is empty; add transitions before sampling")
        if batch_size < 1:
            raise ValueError(f"the number of transitions to sample must be 1 or more; found {batch_size}")
        index = torch.randint(self._size, (batch_size,), generator=self._generator, device=self.device)
        return Transition(*(rows.index_select(0, index) for rows in self._rows))

    def sample_many(self, num_batches: int, batch_size: int) -> list[Transition]:
        """Draw several batches in one selection; the same rows that one long `sample` would give, cut into batches.

        Raises:
            ValueError: if the buffer is empty or a number is below 1.
        """
        if min(num_batches, batch_size) < 1:
            raise ValueError(f"num_batches and batch_size must be 1 or more; found {num_batches} and {batch_size}")
        rows = self.sample(num_batches * batch_size)
        return [Transition(*batch) for batch in zip(*(field.chunk(num_batches) for field in rows), strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return the filled part, where the ring stands, and the generator's state: tensors and plain ints only.

        The tensors are copies, so adding transitions later does not change what was saved.
        """
        state: dict[str, Any] = {
            name: rows[: self._size].clone() for name, rows in zip(Transition._fields, self._rows, strict=True)
        }
        return state | {"position": self._position, "generator_state": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what `state_dict` saved, also on another device or in a buffer of another capacity.

        In an equal capacity everything that follows is as if nothing had happened. A smaller buffer keeps the newest
        transitions. Another kind of device has another generator, which then keeps its own state.

        Raises:
            ValueError: if the transitions are of another shape than this buffer's.
        """
        saved = Transition(*(state[name] for name in Transition._fields))
        position = int(state["position"])
        # A ring that never wrapped has its oldest row first; one that did has it where the next would be written.
        wrapped = position < len(saved.reward)
        oldest_first = Transition(*(rows.roll(-position, 0) for rows in saved)) if wrapped else saved
        self._check(oldest_first)
        same_ring = wrapped and len(saved.reward) == self.capacity
        self._position, self._size = (position if same_ring else 0), 0
        self.add(oldest_first)
        if state["generator_state"].shape == self._generator.get_state().shape:
            self._generator.set_state(state["generator_state"].cpu())

    def _check(self, transition: Transition) -> None:
        check_rank("reward", transition.reward, "B")
        count = len(transition.reward)
        for name, axes, new, rows in zip(Transition._fields, _AXES, transition, self._rows, strict=True):
            check_shape(name, new, (count, *rows.shape[1:]), axes)
