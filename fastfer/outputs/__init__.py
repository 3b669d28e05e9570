"""Output files: one format per module, all of them an :class:`fastfer.outputs.base.Output`."""
