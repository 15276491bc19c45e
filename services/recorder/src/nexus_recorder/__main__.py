"""Runs the recorder: `python -m nexus_recorder`, configured by `NEXUS_RECORDER_*`."""

from nexus_runtime import run_service

from nexus_recorder.config import RecorderConfig
from nexus_recorder.service import RecorderService

if __name__ == "__main__":
    run_service("recorder", RecorderService, RecorderConfig)
