"""SAC on beliefs: simulated sellers who learn from their sales, and training data for a policy of their accounts."""
