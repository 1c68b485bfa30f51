"""pricerl: learn a daily price policy from a seller's own history with Soft Actor-Critic."""

__version__ = "0.1.0"
