"""Output files: one format per module, all of them an :class:`fastfer.outputs.base.Output`.

What takes the rows of endless runs, such as those of ``fastfer watch``, is in
:mod:`fastfer.outputs.sinks`.
"""
