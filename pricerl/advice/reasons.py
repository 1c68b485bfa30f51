"""Sentences made from numbers; no claim that the grade does not allow."""

from __future__ import annotations

from pricerl.advice.result import Gain, ProductAdvice
from pricerl.evaluation import Backtest


def explain(advice: ProductAdvice, num_draws: int, digits: int) -> str:
    """Say what is recommended and why, in at most four sentences.

    Args:
        advice: everything but the reason.
        num_draws: posterior draws behind the chances.
        digits: of a price, after the point.
    """
    sentences = [
        _verdict(advice, digits),
        _evidence(advice, num_draws, digits),
        _cost_of_leaning(advice, digits),
        _demand(advice, num_draws, digits),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _verdict(advice: ProductAdvice, digits: int) -> str:
    now, new = advice.current_price, advice.recommended_price
    if advice.decision.follow == "hold":
        return f"Keep the price at {now:.{digits}f}: {advice.decision.why}."
    verb = "Raise" if new > now else "Lower"
    first = next(day.date for day in advice.days if day.recommended_price != now)
    change = f"{verb} the price on {first} from {now:.{digits}f} to {new:.{digits}f}"
    change += f" ({signed(100 * (new / now - 1), 1)} %)"
    if advice.decision.follow == "path" and abs(advice.settled_price - new) > 0.5 * 10**-digits:
        change += f", then on in steps to {advice.settled_price:.{digits}f}"
    return f"{change}: {advice.decision.why}."


def _evidence(advice: ProductAdvice, num_draws: int, digits: int) -> str:
    if advice.decision.grade == "D" or advice.proposed_gain is None:
        return ""
    if advice.decision.follow == "hold":
        if not advice.decision.lacks_evidence:
            return ""
        gain = advice.proposed_gain
        settled = f"{advice.settled_price:.{digits}f}"
        back = settled == f"{advice.current_price:.{digits}f}"
        would = f"The policy would {'leave it and come back' if back else f'go to {settled}'}, and that"
        return f"{would} {_earns(gain, num_draws, 'such markets')}"
    return "" if advice.gain is None else f"That {_earns(advice.gain, num_draws, 'markets that fit the history')}"


def _earns(gain: Gain, num_draws: int, markets: str) -> str:
    better = round(gain.probability_better * num_draws)
    return (
        f"earns more than keeping the price in {better} of {num_draws} {markets}, on average "
        f"{signed(gain.mean, 2)} a day (90 %: {signed(gain.low, 2)} to {signed(gain.high, 2)})."
    )


def _cost_of_leaning(advice: ProductAdvice, digits: int) -> str:
    """What following the objective costs a day, where nothing holds it back."""
    if advice.decision.gated or advice.proposed_gain is None:
        return ""
    row = {item.rule: item for item in advice.baselines}
    settled, keep, best = row["policy (SAC)"], row["keep the price"], row["planner, profit alone"]
    if settled.profit is None or keep.profit is None or best.profit is None:
        return ""
    return (
        f"Expected profit a day once settled at {settled.price:.{digits}f}: {settled.profit:.2f}, that is "
        f"{signed(settled.profit - keep.profit, 2)} against keeping {keep.price:.{digits}f} and "
        f"{signed(settled.profit - best.profit, 2)} against {best.price:.{digits}f}, the best price for profit alone."
    )


def _demand(advice: ProductAdvice, num_draws: int, digits: int) -> str:
    if advice.data_quality.get("distinct_prices", 0) < 2:
        return "Charge another price for two weeks to learn what it does."
    mean, low, high = (-value for value in advice.elasticity)
    days = max(1, round(advice.effective_days))
    told = f"{days} {'day tells' if days == 1 else 'days tell'}"
    return (
        f"A price 1 % lower has gone with about {mean:.1f} % more units (90 %: {high:.1f} to {low:.1f})"
        f"{_raising(advice, num_draws)}; about {told} of prices near {advice.recommended_price:.{digits}f}."
    )


def judge_backtest(backtest: Backtest) -> str:
    """Say at which horizons the market beat the 7-day mean, and how many days its intervals held."""
    days = sum(row.days for row in backtest.scores)
    held = round(sum(row.days * row.coverage for row in backtest.scores))
    lost = [str(row.days_ahead) for row in backtest.scores if row.skill <= 0]
    verdict = "The market forecast every horizon better than the 7-day mean"
    if lost:
        verdict = f"The market did not beat the 7-day mean {_joined(lost)} {'day' if lost == ['1'] else 'days'} ahead"
    return f"{verdict}; its 90 % intervals held {held} of {days} days."


def line_up_backtest(backtest: Backtest) -> str:
    """Name the errors of every horizon, the market's and the 7-day mean's, on one line."""
    ahead = ", ".join(str(row.days_ahead) for row in backtest.scores)
    market = ", ".join(f"{row.wape_market:.1%}" for row in backtest.scores)
    mean = ", ".join(f"{row.wape_mean_7:.1%}" for row in backtest.scores)
    return f"backtest, days ahead {ahead}: error {market} of units, 7-day mean {mean}"


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _raising(advice: ProductAdvice, num_draws: int) -> str:
    """The decision statistic behind the elasticity, as a clause."""
    if advice.raising is None:
        return ""
    pays, limit = round(advice.raising.chance * num_draws), advice.raising.break_even
    where = "" if limit is None else f", for which that must be below {limit:.1f} %"
    return f"; a slightly higher price earns more in {pays} of {num_draws} markets{where}"


def signed(value: float, digits: int) -> str:
    """Format a number with its sign."""
    return f"{value:+.{digits}f}"
