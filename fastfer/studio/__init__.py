"""The studio: pages for the browser, served by :mod:`fastfer.server`."""
