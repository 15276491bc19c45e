"""The name of a process among its replicas."""

import os
import socket


def name_of_process(prefix: str) -> str:
    """A readable name that is valid as a key: the prefix, letters, digits and dashes of the host's name, and
    the process id."""
    host = "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
    return f"{prefix}-{host.strip('-') or 'node'}-{os.getpid()}"
