"""A Weights & Biases report of a tracked run, with the panels of `pricerl curves`."""

# %%
import sys
from pathlib import Path

from wandb_workspaces.expr import And, Metric
from wandb_workspaces.reports.v2 import LinePlot, PanelGrid, Report, Runset

from pricerl.runs.learning_curves import read_panels


def build(run: str, entity: str, project: str = "pricerl") -> Report:
    """Return the report on a run, trained with ``--wandb true``, of a user or team."""
    panels, _ = read_panels(Path("checkpoints", run, "metrics.csv"))
    plots = [LinePlot(title=title, x="updates", y=columns) for title, columns in panels.items()]
    runs = Runset(entity=entity, project=project, filters=And(Metric("Name") == run))
    return Report(
        entity=entity, project=project, title=f"{run}: learning curves", blocks=[PanelGrid([runs], panels=plots)]
    )


# %%
if __name__ == "__main__":
    print(build(*sys.argv[1:]).save().url)
