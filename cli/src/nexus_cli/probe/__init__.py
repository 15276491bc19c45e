"""`nexus probe`: joins a room like any client and reports, step by step, what works and what does not."""
