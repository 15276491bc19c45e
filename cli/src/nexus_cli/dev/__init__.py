"""`nexus dev`: runs everything that a call needs on this machine."""
