"""Sentences made from numbers; no claim that the grade does not allow."""

from __future__ import annotations

from pricerl.advice.result import Gain, ProductAdvice


def explain(advice: ProductAdvice, num_draws: int) -> str:
    """Say what is recommended and why, in at most four sentences."""
    sentences = [_verdict(advice), _evidence(advice, num_draws), _demand(advice)]
    return " ".join(sentence for sentence in sentences if sentence)


def _verdict(advice: ProductAdvice) -> str:
    now, new = advice.price_now, advice.recommended_price
    if advice.decision.follow == "hold":
        return f"Keep the price at {now:.2f}: {advice.decision.why}."
    verb = "Raise" if new > now else "Lower"
    change = f"{verb} the price from {now:.2f} to {new:.2f} ({signed(100 * (new / now - 1), 1)} %)"
    if advice.decision.follow == "path" and abs(advice.settled_price - new) > 0.005:
        change += f", then on in steps to {advice.settled_price:.2f}"
    return f"{change}: {advice.decision.why}."


def _evidence(advice: ProductAdvice, num_draws: int) -> str:
    if advice.decision.grade == "D" or advice.proposed_gain is None:
        return ""
    if advice.decision.follow == "hold":
        if not advice.decision.lacks_evidence:
            return ""
        gain = advice.proposed_gain
        return f"The policy would go to {advice.settled_price:.2f}, and that {_earns(gain, num_draws)}"
    return "" if advice.gain is None else f"That {_earns(advice.gain, num_draws)}"


def _earns(gain: Gain, num_draws: int) -> str:
    better = round(gain.chance_better * num_draws)
    return (
        f"earns more than keeping the price in {better} of {num_draws} markets that fit the history, expected "
        f"{signed(gain.mean, 2)} a day (90 %: {signed(gain.low, 2)} to {signed(gain.high, 2)})."
    )


def _demand(advice: ProductAdvice) -> str:
    if advice.data_quality.get("distinct_prices", 0) < 2:
        return "Charge another price for two weeks to learn what it does."
    mean, low, high = (-value for value in advice.elasticity)
    return (
        f"A 1 % price cut has gone with about {mean:.1f} % more units ({high:.1f} to {low:.1f}); "
        f"{advice.effective_days:.0f} effective days at prices like the recommended one."
    )


def signed(value: float, digits: int) -> str:
    """Format a number with its sign."""
    return f"{value:+.{digits}f}"
