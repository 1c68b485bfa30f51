"""The market fitted to a history: demand, conversions, costs, and the reward."""
