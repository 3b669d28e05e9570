"""Output files: one format per module, all of them an :class:`fastfer.outputs.base.Output`.

Receivers of a run without an end are in :mod:`fastfer.outputs.sinks`.
"""
