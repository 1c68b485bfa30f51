"""Watching of a run: drift of demand, checks of new days, and alerts."""
