"""Replicas in one process, for tests of the services that run jobs."""

from nexus_jobs.testing.site import CONFIG, ONE, TIMING, Replica, Site, until_told

__all__ = ["CONFIG", "ONE", "TIMING", "Replica", "Site", "until_told"]
