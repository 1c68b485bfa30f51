"""Entries of the decision log as types, from which their JSON schema is made and by which every line is validated.

msgspec parses and validates 20,000 advices of 14 days in 1.2 s of CPU time.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal, TypedDict, get_args

import msgspec

from pricerl.decide.decision import Approval
from pricerl.decide.standing import AccountPlan
from pricerl.entry_parts import Count, Hash, LogEntry, Money, Part
from pricerl.experiments.roll_out import RollOutEntry
from pricerl.experiments.schedule import PriceTestEntry, Question
from pricerl.market.visitor_tests import VisitorTestEntry
from pricerl.reasons import Reason

Forecast = tuple[float, float, float] | None
"""Mean, 5 % and 95 % limit, if known."""


class Day(Part):
    """Recommended price of one day with its forecast."""

    date: date
    price: Money
    units: Forecast
    sales: Forecast
    profit: Forecast
    sd: tuple[float, float, float | None] | None
    """Posterior sds of expected units, sales and profit."""


class Limits(Part):
    """Hard limits on the price of a product."""

    floor: float
    ceiling: float | None
    price_step: Money
    lowest: Money | None
    """Lowest next price that every guardrail allows, if any, like the highest."""
    highest: Money | None
    costs: tuple[float, float] | None = None
    """Share of the price kept after fees and cost of a unit, of which the minimum margin is made, if both are known."""


class RelatedProducts(Part):
    """Relation between the prices of several products."""

    kind: Literal["size_order", "multipack", "one_price"]
    products: list[str]
    count: int | None = None


class Terms(Part):
    """Terms of the outbox, next to the limits."""

    currency: str
    price_decimals: Count
    relations: list[RelatedProducts] = []  # noqa: RUF012  # msgspec copies it
    approval: Approval = "auto"
    approval_required: bool = False
    """Whether a person must approve, in entries of older versions."""
    waits: Literal["", "editor"] = ""
    """Why a person must approve even where prices are published at once: an ``editor`` of the server asked for it."""
    forced: str = ""
    """Setting of the hard limit that the current price breaks and that forces the change, which waits as well."""
    guardrails: dict[str, Any] | None = None
    """Settings of the guardrails but relations that differ from the defaults; entries of older versions have none."""
    since: Count = 0
    """Entries of the log that the guardrails include."""


class Known(Part):
    """Facts of the history, by which a file that was cut or is in another unit is recognised."""

    first: date
    days: Count
    """Observed days."""
    since: date
    """First of the last 28 days, of which mean price and units are."""
    price: Money
    units: float


class Hashes(Part):
    """Hashes of the history, its file, the settings and the weights behind an advice; once of the code, too."""

    data: Hash
    file: Hash | None
    config: Hash
    model: Hash
    code: Hash | None = None


class Edit(Part):
    """Change that a guardrail made to the price of one day."""

    rule: str
    before: float | None
    after: float
    why: str
    date: date


class AdviceEntry(LogEntry, tag="advice", kw_only=True):
    """Advice on one product, and where it came from."""

    command: str
    path: str | list[str] | None
    checkpoint: str | None
    seed: int
    horizon: int
    threads: int | None
    matmul_precision: str | None
    settings: dict[str, Any]
    hashes: Hashes
    versions: dict[str, str]
    seen: Count
    """Entries that the advice knew."""
    product: str
    history_end: date
    current_price: Money
    limits: Limits
    tried: tuple[float, float]
    """Lowest and highest price ever charged."""
    grade: str
    source: str
    follow: Literal["path", "step", "limit", "hold"]
    reasons: list[Reason] = []  # noqa: RUF012  # msgspec copies it
    """Reasons behind the text in ``reason``; entries of older versions have none."""
    proposal: list[float]
    days: Annotated[list[Day], msgspec.Meta(min_length=1)]
    edits: list[Edit]
    model_days: list[Day] = []  # noqa: RUF012  # msgspec copies it
    model_grade: str = ""
    model_source: str = ""
    elasticity: tuple[float, float, float]
    """Believed price elasticity at the current price, mean and 90 % limits."""
    random_prices: list[Any] = []  # noqa: RUF012  # msgspec copies it
    """In advice of older versions: distributions of prices with a random part, known before their days."""
    lowest_prices: list[tuple[str, Money]] = []  # noqa: RUF012  # msgspec copies it
    """``ProductHistory.lowest_prices``; entries of older versions have none."""
    account: AccountPlan | None = None
    """Account of the quarter; absent in the advice that opens it."""
    terms: Terms
    known: Known
    restarts: str = ""
    """Why the history contradicts the advice before: the account begins anew, and earlier orders have ended."""
    order: Count = 0
    """Number of the order that the advice follows; 0 if there is none."""
    test: Count = 0
    """Number of the price test whose schedule the advice follows; 0 if there is none."""
    basis: str = ""
    """Hash of everything but log and day that the advice depends on; entries of older versions have none."""
    category: str = ""
    """Category whose other products the advice counts, too; empty for none."""
    kept: Count = 0
    """Number of the advice that stands, as nothing about the product was new; 0 if this one was computed."""


class StandingDay(TypedDict):
    """Day and price of a `Day`."""

    date: str
    price: Money


class StandingAdvice(TypedDict, total=False):
    """Keys of an `AdviceEntry` that today's prices depend on."""

    id: int
    kind: str
    hash: str
    time: str
    checkpoint: str | None
    path: str | list[str] | None
    settings: dict[str, Any]
    seen: Count
    today: str
    product: str
    history_end: str
    current_price: Money
    limits: dict[str, Any]
    tried: list[float]
    grade: str
    days: Annotated[list[StandingDay], msgspec.Meta(min_length=1)]
    known: dict[str, Any]
    lowest_prices: list[tuple[str, Money]]
    terms: dict[str, Any]
    restarts: str
    order: Count
    test: Count
    basis: str
    category: str


class OverrideEntry(LogEntry, tag="override", kw_only=True):
    """Order of a price."""

    product: str
    until: date
    price: Money
    currency: str
    """Empty if unknown."""
    forced: bool = False
    """Whether the person confirmed a price far from the current one, or outside the prices tried."""


class PauseEntry(LogEntry, tag="pause", kw_only=True):
    """Order to keep the price."""

    product: str
    until: date


class ClearEntry(LogEntry, tag="clear", kw_only=True):
    """Clearance of a product's stock: prices are planned until its last day, and nothing is ordered."""

    product: str
    until: date


class ResumeEntry(LogEntry, tag="resume", kw_only=True):
    """End of an order, given by its number, before its last day."""

    product: str | None
    """Absent at the end of a whole roll-out."""
    ends: Count


class ApprovalEntry(LogEntry, tag="approval", kw_only=True):
    """Approval of a recommended change."""

    product: str
    approves: Count
    date: date
    price: Money


class PublishingEntry(LogEntry, tag="publishing", kw_only=True):
    """How advised prices of the shop are published from here on, instead of the way before."""

    mode: Approval
    instead_of: Approval


class LimitsEntry(LogEntry, tag="limits", kw_only=True):
    """Limits that a person typed, by their settings, in force from here on instead of those before."""

    product: str
    """Empty for all products of the shop."""
    limits: dict[str, int | float | None]
    instead_of: dict[str, int | float | None]
    confirmed: dict[str, Money]
    """Limit in money by each product whose current price breaks it, which the person confirmed."""


class StagedEntry(LogEntry, tag="staged", kw_only=True):
    """Decision that an agent prepared; nothing follows from it until a person approves it."""

    product: str
    asks: Literal["override", "pause", "price_test", "costs"]
    given: dict[str, str | float]
    """Price, last day, unit cost or hash of the schedule with its prices and cost, as the kind needs."""


class RejectionEntry(LogEntry, tag="rejection", kw_only=True):
    """Rejection of a prepared decision, from which nothing follows any more."""

    product: str


class CostsEntry(LogEntry, tag="costs", kw_only=True):
    """Cost of a unit that was written into costs.csv, from a day on or always."""

    product: str
    unit_cost: Annotated[float, msgspec.Meta(ge=0)]
    since: date | None


class PriceTestResultEntry(LogEntry, tag="price_test_result", kw_only=True):
    """Result of a price test, given by its number, that has ended by its stop rule."""

    product: str
    test: Count
    verdict: Literal["higher", "lower", "undecided"]
    """Whether the outcome is higher or lower at the test price."""
    question: Question
    regular_price: Money
    test_price: Money
    last_day: date
    """Last day that counts."""
    pairs: Count
    """Pairs of blocks that count."""
    estimate: float
    """Outcome per row at the test price minus that at the regular one."""
    limits: tuple[float | None, float | None]
    """95 % limits, valid at every look, where finite."""
    p_value: Annotated[float, msgspec.Meta(ge=0, le=1)]
    lost: list[date]
    """Days that should have counted but had another price, or no recorded sales."""
    proven: bool = True
    """Whether the limits exclude that there is no difference; only entries of older versions are a verdict without."""


class PlatformPriceEntry(LogEntry, tag="platform_price", kw_only=True):
    """Price of a product on the platform, as its own export shows it."""

    product: str
    price: Money
    due: Money
    """Price that the shop had decided."""
    before: Money
    """Current price of the shop's days."""
    foreign: bool
    """Whether somebody else set it, so that nothing overwrites it before a person decides."""


class RepairEntry(LogEntry, tag="repair", kw_only=True):
    """Remains of an interrupted write."""

    torn: str


class RollbackEntry(LogEntry, tag="rollback", kw_only=True):
    """Return to another generation of weights, in use from here on instead of the one before."""

    generation: str
    instead_of: str | None


class RetrainEntry(LogEntry, tag="retrain", kw_only=True):
    """Verdict on a challenger's generation instead of the model in use, of pricerl 1.0."""

    generation: str
    instead_of: str
    promoted: bool
    confidence: float
    holdout_days: Count
    forecast: tuple[float, float | None]
    """Difference of the log scores of a held-out day, challenger minus champion, and its lower limit."""
    profit: tuple[float, float | None]
    """Difference of the profit in the challenger's market, as a share, and its lower limit."""


AnyEntry = (
    AdviceEntry
    | OverrideEntry
    | PauseEntry
    | ClearEntry
    | ResumeEntry
    | ApprovalEntry
    | PublishingEntry
    | LimitsEntry
    | StagedEntry
    | RejectionEntry
    | CostsEntry
    | PriceTestEntry
    | PriceTestResultEntry
    | RollOutEntry
    | VisitorTestEntry
    | PlatformPriceEntry
    | RepairEntry
    | RollbackEntry
    | RetrainEntry
)


KINDS = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEntry)}
"""Type of each kind of entry: msgspec builds the whole union anew for each entry that is converted to it."""


def parse_entry(line: str, standing: bool = False) -> dict[str, Any]:
    """Return the entry of a line, or of a ``standing`` advice the keys that `StandingAdvice` has.

    A ``ValueError`` says what is wrong with it.
    """
    kind: Any = StandingAdvice if standing else dict[str, Any]
    try:
        found: dict[str, Any] = msgspec.json.decode(line, type=kind)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except msgspec.ValidationError:
        raise
    except ValueError:  # half of a character pair
        found = msgspec.convert(json.loads(line), type=kind)
    if not standing:
        msgspec.convert(found, type=KINDS.get(str(found.get("kind")), AnyEntry))
    return found
