"""The mathematics of Soft Actor-Critic as pure functions.

Shapes: ``B`` batch of transitions, ``N`` critics of the ensemble, ``A`` action dimensions, ``K`` bins of a categorical
critic, ``E`` their ``K + 1`` edges, ``()`` a scalar tensor.
Every function raises a ValueError for shapes other than those it documents: ``(B,)`` is never broadcast against
``(B, 1)``.

Sources:
    arXiv:1812.05905  Haarnoja et al., Soft Actor-Critic Algorithms and Applications
    arXiv:1801.01290  Haarnoja et al., Soft Actor-Critic (the tanh's change of variables)
    arXiv:1802.09477  Fujimoto et al., TD3 (clipped double Q-learning)
    arXiv:1509.02971  Lillicrap et al., DDPG (target networks)
    arXiv:1806.04613  Imani and White, Improving Regression Performance with Distributional Losses (HL-Gauss)
    arXiv:2403.03950  Farebrother et al., Stop Regressing: Training Value Functions via Classification
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pricerl.arrays import check_shapes
from pricerl.errors import refuse


def td_target(
    reward: Tensor,
    discount: Tensor,
    next_q: Tensor,
    next_log_prob: Tensor,
    alpha: Tensor,
    bounds: tuple[float, float] | None = None,
) -> Tensor:
    """Return the TD target ``(B,)``: reward plus discounted soft value of the next state.

    ``y = reward + discount * (min_n next_q_n - alpha * next_log_prob)``: the soft Bellman backup of arXiv:1812.05905,
    Eqs. 2 and 3, with the minimum over the ensemble as in arXiv:1802.09477, Eq. 10. No gradient flows through it.

    Args:
        reward: ``(B,)``.
        discount: gamma, or 0 after termination, ``(B,)``.
        next_q: the target network's values of the next observation and an action sampled there, ``(N, B)``.
        next_log_prob: log probability of that action, ``(B,)``.
        alpha: temperature, ``()``.
        bounds: lowest and highest value, to which targets are clamped; see `value_bounds`.
    """
    check_shapes(
        ("reward", reward, "B"),
        ("discount", discount, "B"),
        ("next_q", next_q, "NB"),
        ("next_log_prob", next_log_prob, "B"),
        ("alpha", alpha, ""),
    )
    with torch.no_grad():
        next_value = next_q.amin(dim=0) - alpha * next_log_prob
        target = reward + discount * next_value
        return target if bounds is None else target.clamp(*bounds)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return the critic loss ``()``: half the mean squared TD error, summed over critics.

    ``sum_n mean_b 0.5 * (q_nb - y_b)^2``: arXiv:1812.05905, Eq. 5, summed over the ensemble, so that adding a critic
    leaves the gradients of the others unchanged.

    Args:
        q: values of the ensemble, ``(N, B)``.
        target: TD targets, ``(B,)``; held constant.
    """
    check_shapes(("target", target, "B"), ("q", q, "NB"))
    error = q - target.detach()
    return 0.5 * error.square().mean(dim=1).sum()


def hl_gauss(target: Tensor, edges: Tensor, spread: float) -> Tensor:
    """Return the histogram ``(B, K)`` of a Gaussian around each target, cut off at the outer edges.

    ``p_k = (F(e_k+1) - F(e_k)) / (F(e_K) - F(e_0))`` with the Gaussian's distribution function F: HL-Gauss of
    arXiv:2403.03950, section 3, after arXiv:1806.04613. Targets beyond the outer edges are moved to them.

    Args:
        target: TD targets, ``(B,)``.
        edges: edges of the bins, ascending, ``(E,)``.
        spread: standard deviation of the Gaussian, above 0.
    """
    check_shapes(("target", target, "B"), ("edges", edges, "E"))
    center = target.clamp(edges[0], edges[-1]).unsqueeze(1)
    below: Tensor = torch.special.ndtr((edges - center) / spread)
    return below.diff(dim=1) / (below[:, -1:] - below[:, :1])


def categorical_loss(logits: Tensor, histogram: Tensor) -> Tensor:
    """Return the loss ``()`` of categorical critics: cross-entropy to the targets' histograms, summed over critics.

    ``sum_n mean_b -sum_k p_bk log softmax(logits_nb)_k``: the loss of arXiv:2403.03950, section 3, summed over the
    ensemble.

    Args:
        logits: of the ensemble's bins, ``(N, B, K)``.
        histogram: probabilities of the targets, ``(B, K)``; held constant.
    """
    check_shapes(("histogram", histogram, "BK"), ("logits", logits, "NBK"))
    return -(histogram.detach() * F.log_softmax(logits, dim=-1)).sum(dim=-1).mean(dim=1).sum()


def actor_loss(log_prob: Tensor, q: Tensor, alpha: Tensor) -> Tensor:
    """Return the actor loss ``()``: `E[alpha log pi(a|s) - min_n Q_n(s, a)]`.

    ``mean_b (alpha * log_prob_b - min_n q_nb)``: arXiv:1812.05905, Eq. 9, where ``log_prob`` and ``q`` belong to an
    action that the actor sampled by reparameterization.

    Args:
        log_prob: log probability of the sampled action, ``(B,)``.
        q: values of the sampled action, ``(N, B)``.
        alpha: temperature, ``()``; held constant.
    """
    check_shapes(("log_prob", log_prob, "B"), ("q", q, "NB"), ("alpha", alpha, ""))
    return (alpha.detach() * log_prob - q.amin(dim=0)).mean()


def temperature_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return the temperature loss ``()``: descent raises alpha below the target entropy and lowers it above.

    ``mean_b -alpha * (log_prob_b + target_entropy)`` with ``alpha = exp(log_alpha)``: arXiv:1812.05905, Eq. 18.

    Args:
        log_alpha: logarithm of the temperature, ``()``.
        log_prob: log probability of actions sampled from the policy, ``(B,)``; held constant.
        target_entropy: in nats.
    """
    check_shapes(("log_alpha", log_alpha, ""), ("log_prob", log_prob, "B"))
    return -log_alpha.exp() * (log_prob.detach().mean() + target_entropy)


def tanh_gaussian_log_prob(pre_tanh: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return the log density ``(B,)`` of the action ``tanh(u)``, where ``u`` is Gaussian.

    ``sum_a log N(u_a; mean_a, std_a) - log(1 - tanh(u_a)^2)``: arXiv:1801.01290, appendix C, Eq. 21. The last term is
    computed as ``2 (log 2 - u - softplus(-2u))``, which is equal and finite at every ``u``.

    Args:
        pre_tanh: the Gaussian draw ``u`` before the tanh, ``(B, A)``.
        mean: mean of the Gaussian, ``(B, A)``.
        log_std: log standard deviation of the Gaussian, ``(B, A)``.
    """
    check_shapes(("pre_tanh", pre_tanh, "BA"), ("mean", mean, "BA"), ("log_std", log_std, "BA"))
    noise = (pre_tanh - mean) * torch.exp(-log_std)
    log_gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    log_slope = 2.0 * (math.log(2.0) - pre_tanh - F.softplus(-2.0 * pre_tanh))
    return (log_gaussian - log_slope).sum(dim=-1)


def value_bounds(
    reward_low: float, reward_high: float, gamma: float, max_entropy_bonus: float = 0.0
) -> tuple[float, float]:
    """Return the lowest and highest possible soft value ``(low, high)`` under bounded rewards.

    A value is one reward followed by at most infinitely many ``reward + bonus`` discounted by gamma: the series
    ``(reward + gamma * bonus) / (1 - gamma)`` (the soft return of arXiv:1812.05905, Eqs. 2 and 3). An episode may also
    end after its first reward, so the reward's own bounds are always included.

    Args:
        reward_low: smallest reward of one step.
        reward_high: largest reward of one step.
        gamma: discount of one step, at least 0 and below 1.
        max_entropy_bonus: largest absolute value of ``alpha * log_prob`` in one step.

    Raises:
        ValueError: if the bounds are not finite and in order, gamma not in [0, 1) or the bonus negative.
    """
    refuse(
        {
            f"reward_low must be below reward_high, both finite; found {reward_low} and {reward_high}": (
                not -math.inf < reward_low < reward_high < math.inf
            ),
            f"gamma must be at least 0 and below 1; found {gamma}": not 0.0 <= gamma < 1.0,
            f"max_entropy_bonus must be 0 or more and finite; found {max_entropy_bonus}": (
                not 0.0 <= max_entropy_bonus < math.inf
            ),
        },
        ValueError,
    )
    low = (reward_low - gamma * max_entropy_bonus) / (1.0 - gamma)
    high = (reward_high + gamma * max_entropy_bonus) / (1.0 - gamma)
    return min(low, reward_low), max(high, reward_high)


@torch.no_grad()
def polyak_update(target: nn.Module, source: nn.Module, tau: float) -> None:
    """Move the target network's parameters towards the source's by a factor tau and copy the source's buffers.

    ``target <- (1 - tau) * target + tau * source``: arXiv:1509.02971, Algorithm 1. Buffers are statistics, not weights:
    a target network must receive the same normalized observation as its source.

    Args:
        target: the target network, changed in place.
        source: a module of the same structure.
        tau: step towards the source, above 0 and at most 1; 1 copies.

    Raises:
        ValueError: if tau is out of range or the modules differ in structure.
    """
    parameters: list[Tensor] = list(target.parameters())
    source_parameters: list[Tensor] = list(source.parameters())
    buffers, source_buffers = list(target.buffers()), list(source.buffers())
    differ = [p.shape for p in parameters + buffers] != [p.shape for p in source_parameters + source_buffers]
    refuse(
        {
            f"tau must be above 0 and at most 1; found {tau}": not 0.0 < tau <= 1.0,
            "target and source must have the same structure; their parameters or buffers differ": differ,
        },
        ValueError,
    )
    torch._foreach_lerp_(parameters, source_parameters, tau)
    for buffer, source_buffer in zip(buffers, source_buffers, strict=True):
        if buffer is not source_buffer:
            buffer.copy_(source_buffer)
