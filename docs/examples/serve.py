"""Serve an exported policy with onnxruntime and numpy alone: python serve.py checkpoints/sales sales.csv."""

import csv
import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime

folder, file = map(Path, sys.argv[1:])
about = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(folder / "policy.onnx")
with file.open(encoding="utf-8", newline="") as opened:
    rows = list(csv.DictReader(opened))[-60:]  # one per day, oldest first, without gaps


def column(name):
    """Numbers of a column, one per day."""
    return np.array([float(row[name]) for row in rows])


def mean_before(values):
    """Means of the seven values before each day; the first seven days have too few."""
    return np.array([values[max(day - 7, 0) : max(day, 1)].mean() for day in range(len(values))])


days = [date.fromisoformat(row["Report Date"]) for row in rows]
price, sales, profit = map(column, ("Product Price", "Total Sales", "Total Profit"))
price_mean, sales_mean = mean_before(price), mean_before(sales)
last_week = np.concatenate([sales_mean[:7], sales_mean[:-7]])
features = {
    "price": price,
    "price_mean_7": price_mean,
    "sales_mean_7": sales_mean,
    "day_of_week": [day.weekday() for day in days],
    "month": [day.month for day in days],
    "predicted_sales": sales_mean,  # or your own forecast
    "price_momentum": price / price_mean - 1,
    "sales_trend": (sales_mean - last_week) / (sales_mean + last_week),
    "organic_conversion": column("Organic Conversion Percentage"),
    "ad_conversion": column("Ad Conversion Percentage"),
    "profit": profit,
    "sales": sales,
}
num_days, num_prices = about["inputs"]["window"][0], about["inputs"]["prices"][0]
window = np.stack([features[name] for name in about["features"]], axis=1, dtype=np.float64)[None, -num_days:]
product = np.array([0])  # the first of about["products"]
inputs = {"window": window, "prices": price[None, -num_prices:], "product": product}
(next_price,), _, (feasible,) = session.run(None, inputs)
print(f"{about['products'][0]}: {price[-1]:.2f} -> {next_price:.2f}{'' if feasible else ' (no price fits the limits)'}")
