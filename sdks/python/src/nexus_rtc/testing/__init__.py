"""A fake server for the tests of programs that use this package."""

from nexus_rtc.testing.fake_server import FakeServer

__all__ = ["FakeServer"]
