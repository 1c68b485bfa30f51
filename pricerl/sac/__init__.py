"""Soft Actor-Critic in plain torch, independent of prices: settings, networks, losses, updates and replay buffer."""
