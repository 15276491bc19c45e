"""Runs signaling: `python -m nexus_signaling`, configured by `NEXUS_SIGNALING_*`."""

from nexus_runtime import run_service

from nexus_signaling.config import SignalingConfig
from nexus_signaling.service import SignalingService

if __name__ == "__main__":
    run_service("signaling", SignalingService, SignalingConfig)
