from .progress import TrainingBar as TrainingBar
from .saving import RunCheckpoint as RunCheckpoint, RunConfig as RunConfig
