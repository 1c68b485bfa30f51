"""The state of a shop, in a database: its days, decisions, advice and facts."""
