"""The probe: one participant that goes through the steps of a call.

If no other participant sends, the probe joins a second one, its partner, so that there is media to receive.
The partner sends a different colour and pitch than the probe. The last step checks that the media received
under the partner's name has them, that is, that media is attributed to the right participant.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nexus_rtc import LocalTrack, NexusClient, NexusError, Room
from nexus_rtc.edge.peer import Peer
from nexus_rtc.synthetic import SyntheticCamera, SyntheticMicrophone
from nexus_rtc.token import unverified_claims

from nexus_cli.probe import hints, measure
from nexus_cli.probe.collector import Collector, Taken
from nexus_cli.probe.options import Options
from nexus_cli.probe.report import Report, StepFailed

POLL_SECONDS = 0.01
PARTNER_COLOUR = (40, 60, 200)
PARTNER_TONE_HZ = 660.0
ENOUGH_FRAMES = 3


class Probe:
    def __init__(self, options: Options, report: Report) -> None:
        self._options = options
        self._report = report

    async def run(self) -> None:
        """Fills the report, which also holds the failure of a step; only unexpected errors are raised."""
        with contextlib.suppress(StepFailed):
            await self._check()

    async def _check(self) -> None:
        self._token()
        room = await self._join()
        collector = Collector(room)
        try:
            await self._transport(room.peer)
            async with self._partner(collector) as partner:
                await self._received(room, collector)
                await self._frames(collector, partner)
                await self._quality(room, collector, partner)
        finally:
            await collector.close()
            await room.leave()

    def _token(self) -> None:
        with self._report.running("token") as step:
            try:
                claims = unverified_claims(self._options.token)
            except ValueError as error:
                raise StepFailed(str(error), hints.by_code("TOKEN_INVALID", "")) from None
            self._report.identity, self._report.room = str(claims.get("sub", "")), self._options.room
            left = float(claims.get("exp", 0)) - time.time()  # noqa: TID251 - `exp` is wall-clock time
            if left <= 0:
                raise StepFailed("the token has expired", hints.by_code("TOKEN_EXPIRED", ""))
            step.text = f"{self._report.identity} in {self._options.room}, for {left / 60:.0f} more minutes"

    async def _join(self) -> Room:
        """Runs two steps: opening the WebSocket, and the join up to its answer."""
        connected = asyncio.Event()
        joining = asyncio.create_task(self._join_room(connected))
        waiting = asyncio.create_task(connected.wait())
        try:
            with self._report.running("websocket") as step:
                await asyncio.wait({joining, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if not connected.is_set():
                    self._raise(joining, hints.WEBSOCKET)
                step.text = f"{self._options.url}, {self._options.subprotocol}"
            with self._report.running("answer") as step:
                await asyncio.wait({joining})
                room = self._raise(joining, hints.ANSWER)
                self._report.node, self._report.server_version = room.node_id, room.server_version
                step.text = f"room on {room.node_id}, {len(room.participants)} other participants"
        finally:
            waiting.cancel()
        return room

    async def _join_room(self, connected: asyncio.Event) -> Room:
        """Joins, and sets `connected` once the WebSocket is open."""
        options = self._options
        client = NexusClient(
            server_url=options.url,
            token=options.token,
            subprotocol=options.subprotocol,
            srtp_profile=options.srtp_profile,
            connect_seconds=options.step_seconds,
        )
        camera = SyntheticCamera(options.colour, flash=options.flash)
        microphone = SyntheticMicrophone(options.tone_hz, flash=options.flash)
        publish = _publications(camera, microphone, options.codec)
        return await client.join(
            options.room,
            tracks=publish,
            on_step=lambda name: connected.set() if name == "websocket" else None,
        )

    @staticmethod
    def _raise(joining: asyncio.Task[Room], hint: str) -> Room:
        try:
            return joining.result()
        except (NexusError, ValueError) as error:
            code = error.code if isinstance(error, NexusError) else ""
            raise StepFailed(str(error), hints.by_code(code, hint)) from None

    async def _transport(self, peer: Peer) -> None:
        with self._report.running("ice") as step:
            await self._until(
                lambda: peer.ice_state == "completed",
                lambda: peer.ice_state in ("failed", "closed"),
                hints.ICE,
            )
            pair = peer.selected_pair
            step.text = f"{pair.local} to {pair.remote}" if pair else "connected"
        with self._report.running("dtls") as step:
            await self._until(
                lambda: peer.dtls_state == "connected",
                lambda: peer.dtls_state in ("failed", "closed"),
                hints.DTLS,
            )
            self._report.srtp_profile = step.text = peer.srtp_profile or "no SRTP profile"
        with self._report.running("sent") as step:
            await self._until(lambda: peer.milestones.first_sent_at is not None, lambda: False, hints.SENT)
            step.text = f"{self._options.codec} and opus"

    @asynccontextmanager
    async def _partner(self, collector: Collector) -> AsyncIterator[Room | None]:
        options = self._options
        others = any(not taken.track.muted for taken in collector.taken.values())
        if options.echo == "never" or (options.echo == "auto" and others):
            self._report.skip("partner", "other participants send" if others else "not requested")
            yield None
            return
        if options.partner_token is None:
            self._report.skip(
                "partner", "there is no second token (use --app and --secret instead of --token)"
            )
            yield None
            return
        with self._report.running("partner") as step:
            try:
                publish = _publications(
                    SyntheticCamera(PARTNER_COLOUR), SyntheticMicrophone(PARTNER_TONE_HZ), options.codec
                )
                partner = await NexusClient(server_url=options.url, token=options.partner_token).join(
                    options.room, tracks=publish
                )
            except NexusError as error:
                raise StepFailed(str(error), hints.by_code(error.code, hints.PARTNER)) from None
            step.text = f"no other participant sends: joined as {partner.local_participant.identity} too"
        try:
            yield partner
        finally:
            await partner.leave()

    async def _received(self, room: Room, collector: Collector) -> None:
        slots = room.peer.slots
        if not collector.taken and self._report.step("partner").state == "skipped":
            for name in ("received", "frames"):
                self._report.skip(name, "no other participant sends")
            return
        with self._report.running("received") as step:
            await self._until(
                lambda: any(slot.sources for slot in slots),
                lambda: collector.ended is not None,
                hints.RECEIVED,
            )
            step.text = (
                f"in slot {next(slot.mid for slot in slots if slot.sources)}, with the number of its source"
            )

    async def _frames(self, collector: Collector, partner: Room | None) -> None:
        if self._report.step("received").state == "skipped":
            return
        with self._report.running("frames") as step:
            await self._until(
                lambda: self._seen(collector, partner), lambda: collector.ended is not None, hints.FRAMES
            )
            kinds = sorted({taken.track.kind for taken in collector.taken.values() if taken.frames})
            step.text = " and ".join(kinds) + " decoded"

    @staticmethod
    def _seen(collector: Collector, partner: Room | None) -> bool:
        """Whether enough frames came: audio and video of the partner, or any track of other participants, who
        may be muted or silent."""
        if partner is None:
            return any(taken.frames >= ENOUGH_FRAMES for taken in collector.taken.values())
        enough = {
            taken.track.kind
            for taken in collector.of(partner.local_participant.identity)
            if taken.frames >= ENOUGH_FRAMES
        }
        return enough == {"audio", "video"}

    async def _quality(self, room: Room, collector: Collector, partner: Room | None) -> None:
        with self._report.running("quality") as step:
            began = time.monotonic()
            while (left := began + self._options.seconds - time.monotonic()) > 0 and room.ended is None:
                step.text = f"measuring for {left:.0f} more seconds"
                self._report.on_change()
                await asyncio.sleep(min(0.25, left))
            await measure.fill(self._report, room, collector, self._expected(partner))
            step.text = measure.summary(self._report)
            if room.ended is not None:
                raise StepFailed(f"the session ended: {room.ended.reason}", hints.ANSWER)
            if wrong := [one for one in self._report.received if one.expected is False]:
                raise StepFailed(
                    f"{wrong[0].kind} of {wrong[0].participant} is not what it sent", hints.WRONG
                )

    @staticmethod
    def _expected(partner: Room | None) -> Callable[[Taken], bool | None]:
        def expected(taken: Taken) -> bool | None:
            if partner is None or taken.participant.identity != partner.local_participant.identity:
                return None
            return measure.resembles(taken, PARTNER_COLOUR, PARTNER_TONE_HZ)

        return expected

    async def _until(self, holds: Callable[[], bool], never: Callable[[], bool], hint: str) -> None:
        """Polls until `holds`. Raises StepFailed when `never` holds or the step's time is over."""
        deadline = time.monotonic() + self._options.step_seconds
        while not holds():
            if never():
                raise StepFailed("it failed", hint)
            if time.monotonic() > deadline:
                raise StepFailed(f"nothing within {self._options.step_seconds:g} s", hint)
            await asyncio.sleep(POLL_SECONDS)


def _publications(camera: SyntheticCamera, microphone: SyntheticMicrophone, codec: str) -> list[LocalTrack]:
    return [
        LocalTrack(microphone, name="probe tone"),
        LocalTrack(camera, name="probe picture", codec=codec, width=camera.width, height=camera.height),
    ]
