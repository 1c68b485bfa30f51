from .api import (
    TrainedPolicy as TrainedPolicy,
    advise as advise,
    load as load,
    make_env as make_env,
)
from .data.reading.reader import read_history as read_history

__version__: str
