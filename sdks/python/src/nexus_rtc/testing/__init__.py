"""For the tests of programs that use this package: a server without a server."""

from nexus_rtc.testing.fake_server import FakeServer

__all__ = ["FakeServer"]
