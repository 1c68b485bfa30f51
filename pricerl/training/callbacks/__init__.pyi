from .progress import TrainingBar as TrainingBar
from .saving import GivenCheckpoint as GivenCheckpoint, RunCheckpoint as RunCheckpoint, RunConfig as RunConfig
