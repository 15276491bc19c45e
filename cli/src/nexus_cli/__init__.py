"""The command line: nexus dev, token, probe, nodes, say and version."""
