"""The Lightning shell of training."""
