"""The report a seller reads: one self-contained page, made from the advice alone."""

from pricerl.advice.report.render import render_report

__all__ = ["render_report"]
