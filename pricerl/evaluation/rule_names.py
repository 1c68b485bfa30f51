"""Names of pricing rules that tables and sentences single out; free of torch, for commands that only print."""

KEEP = "keep the price"
POLICY = "policy (SAC)"
BEST_FOR_PROFIT = "planner, profit alone"
BEST_FOR_OBJECTIVE = "planner, this objective"
