"""Zip and tar archives of anybody, read at a bounded cost."""
