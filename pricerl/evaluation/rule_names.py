"""Names of the pricing rules that tables and sentences refer to, importable without torch."""

KEEP = "keep the price"
POLICY = "policy (SAC)"
PLANNER = "planner, day by day"
BEST_FOR_PROFIT = "planner, profit alone"
BEST_FOR_OBJECTIVE = "planner, this objective"
