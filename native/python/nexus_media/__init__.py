"""The media engine's Python module."""
