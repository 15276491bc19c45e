"""`nexus dev`: everything that a call needs, on this machine, with one command."""
