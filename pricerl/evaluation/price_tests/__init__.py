"""Statistics of a switchback price test: design, randomisation test, confidence sequence, power. They need no torch."""
