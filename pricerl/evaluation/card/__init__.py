"""Card of evidence: tests of what a history claims about demand."""
