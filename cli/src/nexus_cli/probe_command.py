"""`nexus probe`."""


def probe() -> None:
    """Check a connection."""
