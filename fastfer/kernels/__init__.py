"""The C kernels behind Python checks: packing faces, box overlap; and their NumPy reference."""
