"""Lightning callbacks: evaluation, checkpoints, counters and the progress bar."""

from pricerl.training.callbacks.evaluation import Evaluation
from pricerl.training.callbacks.progress import RunMetrics, TrainingBar
from pricerl.training.callbacks.saving import RunCheckpoint, RunConfig

__all__ = ["Evaluation", "RunCheckpoint", "RunConfig", "RunMetrics", "TrainingBar"]
