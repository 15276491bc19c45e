"""The real services: `nexus dev` (NATS, signaling, SFU) on free ports."""

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nexus_testkit import free_port

# Bandwidth estimate: more than all publishers send together. A client that was not scheduled for a while
# reports delays like those of a congested path, whose tracks the SFU would pause. Other tests cover bandwidth
# allocation.
BITRATE_BPS: Final = 5_000_000


@contextmanager
def services(folder: Path, *, audio_loudest: int) -> Iterator[str]:
    """Runs the services, with their log in `folder`, and yields their URL. `audio_loudest` is the number of
    audio tracks that are forwarded at once."""
    log = folder / "services.log"
    nexus = str(Path(sysconfig.get_path("scripts")) / "nexus")
    command = [nexus, "dev", "--port", str(free_port()), "--data-dir", str(folder / "data")]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--media-address", "127.0.0.1"],
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            env={**os.environ, **_environment(audio_loudest)},
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("ready "), log.read_text()[-4000:]
        yield line.split()[1]
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, log.read_text()[-4000:]


def _environment(audio_loudest: int) -> dict[str, str]:
    return {
        "NEXUS_LOG_FORMAT": "json",
        "NEXUS_SFU_AUDIO_LOUDEST": str(audio_loudest),
        "NEXUS_SFU_START_BITRATE_BPS": str(BITRATE_BPS),
        "NEXUS_SFU_MIN_BITRATE_BPS": str(BITRATE_BPS),
    }
