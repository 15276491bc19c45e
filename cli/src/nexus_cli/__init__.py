"""The command line: nexus dev, nexus token, nexus probe."""
