"""Lightning callbacks: metrics, progress bar and checkpoints of a run."""
