"""The HTTP server: ``fastfer serve``. Needs the extra ``serve``."""
