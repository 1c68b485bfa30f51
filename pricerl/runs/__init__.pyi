from .checkpoint import (
    CHECKPOINT_KEY as CHECKPOINT_KEY,
    FORMAT as FORMAT,
    USUAL_CLASSES as USUAL_CLASSES,
    Checkpoint as Checkpoint,
    lasting_settings as lasting_settings,
    without_query as without_query,
)
from .folder import (
    BEST as BEST,
    CONFIG as CONFIG,
    LAST as LAST,
    METRICS_FILE as METRICS_FILE,
    RUN_FILE as RUN_FILE,
    RUN_LOG as RUN_LOG,
    SAVES as SAVES,
    Generation as Generation,
    RunFolder as RunFolder,
)
from .names import (
    RUNS as RUNS,
    USUAL_PRESET as USUAL_PRESET,
    check_name as check_name,
    find_run as find_run,
    name_run as name_run,
    needed_name as needed_name,
    runs_with as runs_with,
)
from .rank_state import (
    RankState as RankState,
    preserved_randomness as preserved_randomness,
    verify_save as verify_save,
)
from .tree_file import read_tree as read_tree, write_tree as write_tree
