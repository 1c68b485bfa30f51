"""Advice from a checkpoint and a fresh history: price, interval, reason and grade."""
