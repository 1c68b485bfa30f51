"""The report a seller reads: one self-contained page a product, made from ``advice.json`` alone."""

from pricerl.advice.report.render import FOLDER, INDEX, render_page, render_pages

__all__ = ["FOLDER", "INDEX", "render_page", "render_pages"]
