"""The C kernels behind Python checks: crop, gray, resize and pack faces; box overlap; a NumPy reference."""
