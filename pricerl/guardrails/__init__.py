"""Guardrails: the limits that a seller sets on the price."""
