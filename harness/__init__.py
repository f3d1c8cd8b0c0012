"""Hallmark's engine. It knows no kind, no model and no report format: it finds them by entry point."""

__version__ = "0.1.0"
