"""From checked rows to a contiguous calendar."""
