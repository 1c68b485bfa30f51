from .backtest import Backtest as Backtest, HorizonScore as HorizonScore, predict_units as predict_units
from .baselines import BaselineRow as BaselineRow, compare_baselines as compare_baselines
from .dynamic_planner import DynamicPlan as DynamicPlan, plan_dynamically as plan_dynamically
from .episodes import (
    EpisodeScores as EpisodeScores,
    Policy as Policy,
    planner_gaps as planner_gaps,
    score_episodes as score_episodes,
)
from .off_policy import OffPolicyValue as OffPolicyValue, estimate_off_policy as estimate_off_policy
from .planner import (
    Plan as Plan,
    Plans as Plans,
    best_constant_price as best_constant_price,
    cautious_price as cautious_price,
    plan_all as plan_all,
)
from .policy_value import (
    PathGain as PathGain,
    PathScores as PathScores,
    PolicyValue as PolicyValue,
    score_paths as score_paths,
    value_path as value_path,
)
from .pricing_rules import Shop as Shop
from .raising import Raising as Raising, would_raising_pay as would_raising_pay
from .returns import MAX_STEPS as MAX_STEPS, ReturnScores as ReturnScores, score_returns as score_returns
from .rollout import Rollout as Rollout, roll_out as roll_out
from .sensitivity import (
    Causes as Causes,
    Sensitivity as Sensitivity,
    find_sensitivity as find_sensitivity,
    observe_causes as observe_causes,
)
