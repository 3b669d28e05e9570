"""The bundled models, and the store of downloaded ones."""
