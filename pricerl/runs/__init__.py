"""The files of a run: its folder, generations, checkpoints, and the states of its processes."""
