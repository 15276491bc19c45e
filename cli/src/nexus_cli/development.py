"""The development app. Its key is public, so that `nexus dev`, `nexus token` and `nexus probe` work together
without any setup.

It exists only in development; a production deployment lists its own apps in NEXUS_APPS.
"""

from typing import Final

KEY_ID: Final = "devkey"
SECRET: Final = "devsecret-known-to-everybody-never-use-in-production"  # noqa: S105 - public on purpose

DEFAULT_URL: Final = "http://127.0.0.1:7880"
