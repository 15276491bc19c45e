"""Runs the SFU: `python -m nexus_sfu`, configured by `NEXUS_SFU_*`."""

from nexus_runtime import Runtime, run_service

from nexus_sfu.config import SfuConfig
from nexus_sfu.service import SfuService


def make(config: SfuConfig, runtime: Runtime) -> SfuService:
    # Imported late, because `--check-config` and `--version` do not need the native module.
    from nexus_sfu.open_engine import open_engine

    return SfuService(config, runtime, open_engine(config))


if __name__ == "__main__":
    run_service("sfu", make, SfuConfig)
