"""Lightning callbacks: metrics, progress bar, checkpoints and configuration of a run."""
