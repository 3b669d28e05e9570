"""Annotated pictures, and windows that show them."""
