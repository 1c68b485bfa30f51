"""Lightning shell around the algorithm: module, data, collector, callbacks, checkpoints."""
