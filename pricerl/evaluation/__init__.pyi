from .backtest import Backtest as Backtest, HorizonScore as HorizonScore
from .dynamic_planner import DynamicPlan as DynamicPlan, plan_dynamically as plan_dynamically
from .forecast import PathForecast as PathForecast, forecast_path as forecast_path
from .off_policy import OffPolicyValue as OffPolicyValue, estimate_off_policy as estimate_off_policy
from .planner import (
    BaselineRow as BaselineRow,
    Plan as Plan,
    best_constant_price as best_constant_price,
    compare_baselines as compare_baselines,
    planner_gaps as planner_gaps,
)
from .pricing_rules import RULES as RULES, Candidates as Candidates
from .rollout import Policy as Policy, Rollout as Rollout, roll_out as roll_out
from .scores import (
    EpisodeScores as EpisodeScores,
    PathScores as PathScores,
    ReturnScores as ReturnScores,
    score_episodes as score_episodes,
    score_paths as score_paths,
    score_returns as score_returns,
)
from .sensitivity import (
    Causes as Causes,
    Sensitivity as Sensitivity,
    find_sensitivity as find_sensitivity,
    observe_causes as observe_causes,
)
from .valuation import (
    BreakEven as BreakEven,
    DailyOutcome as DailyOutcome,
    PathValue as PathValue,
    Raising as Raising,
    Uplift as Uplift,
    value_paths as value_paths,
)
from .plan_benchmark import Comparison as Comparison, PlanBenchmark as PlanBenchmark
