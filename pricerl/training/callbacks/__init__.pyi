from .evaluation import Evaluation as Evaluation
from .progress import RunMetrics as RunMetrics, TrainingBar as TrainingBar
from .saving import RunCheckpoint as RunCheckpoint, RunConfig as RunConfig
