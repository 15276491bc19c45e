"""Strikes against the deployment of a recorded call."""

import asyncio
import signal
from typing import Final

from deployment import Target
from recorded_call import RecordedCall

# Packets of audio and video in about a second.
A_SECOND: Final = 60


async def strike(call: RecordedCall, target: Target, blow: signal.Signals, away_seconds: float) -> None:
    """Kills or stops a part of the deployment, and brings it back. Returns when the call goes on."""
    deployment = call.deployment
    if blow is signal.SIGKILL:
        await deployment.kill(target)
        await asyncio.sleep(away_seconds)
        await deployment.restart(target)
    else:
        deployment.signal(target, signal.SIGSTOP)
        await asyncio.sleep(away_seconds)
        deployment.signal(target, signal.SIGCONT)
    await call.caller.joined()
    await call.packets(5 * A_SECOND)
