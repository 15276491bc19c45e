"""`nexus probe`: joins as any client would and says, step by step, what works and what does not."""
