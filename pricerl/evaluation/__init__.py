"""Evaluation of any policy ``observation -> action``, independent of its training."""
