"""One run: all clients join, send and receive for 45 seconds, request keyframes, and leave. The tests
evaluate its outcome.

Services and clients run in real time; time limits only bound how long the run waits.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nexus_cli import development
from nexus_rtc import App, mint_token
from nexus_testkit import ConditionNotMet, wait_until

from harness.clips import Noise, make_audio, make_video
from harness.participant import ClientFailed, Participant
from harness.roster import EARLY, LATE, PUBLISHERS, SUBSCRIBERS, Seat

ROOM: Final = "foreign"
# How long media is counted, in reports of one second each.
COUNTED_SECONDS: Final = 45
# Time after which slots are bound, the first keyframes have arrived and the path has been probed.
WARM_UP_SECONDS: Final = 5
LARGE_MESSAGE_BYTES: Final = 48 * 1024
# Maximum wait for a step that takes a moment on an idle machine.
PATIENCE_SECONDS: Final = 60.0
LEAVING_SECONDS: Final = 20.0
# Clients repeat keyframe requests as browsers do, because a keyframe sent just before may answer one.
KEYFRAME_TRIES: Final = 5
KEYFRAME_SECONDS: Final = 4.0
APP: Final = App(development.KEY_ID, development.SECRET)


@dataclass(slots=True)
class Outcome:
    """The recorded reports and exit codes of all participants."""

    participants: Mapping[str, Participant]
    exit_codes: dict[str, int] = field(default_factory=dict)
    # By participant: its number of reports when counting began, and when the publishers were asked to stop.
    began: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    # By subscriber: the publishers that were asked for a keyframe after its request.
    asked: dict[str, set[str]] = field(default_factory=dict)
    # By leaving participant: the participants that were still in the room.
    witnesses: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def number(self, subscriber: str, publisher: str, kind: str) -> int:
        """The number of the publisher's track, as the subscriber received it from signaling."""
        for event in self.participants[subscriber].all("track"):
            if (event["identity"], event["kind"]) == (publisher, kind):
                return int(event["number"])
        raise AssertionError(f"{subscriber} was not notified of the {kind} of {publisher}")

    def received(self, subscriber: str, publisher: str, kind: str) -> list[Mapping[str, Any]]:
        """The counters of one track in each counted report; {} if a report has none."""
        number = str(self.number(subscriber, publisher, kind))
        return [second["received"].get(number, {}) for second in self._counted(subscriber)]

    def sent(self, publisher: str, kind: str) -> list[Mapping[str, Any]]:
        return [second["sent"][kind] for second in self._counted(publisher)]

    def _counted(self, identity: str) -> list[Mapping[str, Any]]:
        """The reports from the last one before counting began to the last one before the stop."""
        return self.participants[identity].all("second")[self.began[identity] - 1 : self.ended[identity]]

    def sent_checksums(self, publisher: str, kind: str) -> list[int]:
        return self._checksums(publisher, "sent", kind)

    def received_checksums(self, subscriber: str, publisher: str, kind: str) -> list[int]:
        return self._checksums(subscriber, "received", self.number(subscriber, publisher, kind))

    def _checksums(self, identity: str, direction: str, key: str | int) -> list[int]:
        for event in self.participants[identity].all("payloads"):
            if event.get(direction) == key:
                return list(event["crcs"])
        return []


def make_clips(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Encodes audio and video of every publisher; returns the paths by identity."""
    clips = {}
    with ThreadPoolExecutor(2) as pool:
        for seed, seat in enumerate(PUBLISHERS, 1):
            noise = Noise(seat.colour, seed)
            audio, video = folder / f"{seat.identity}-audio.ivf", folder / f"{seat.identity}-video.ivf"
            jobs = [pool.submit(make_audio, audio, noise), pool.submit(make_video, video, seat.video, noise)]
            clips[seat.identity] = (audio, video)
            for job in jobs:
                job.result()
    return clips


async def perform(url: str, folder: Path) -> Outcome:
    """Performs the run. Raises ClientFailed if a client fails before it can be evaluated."""
    clips = await asyncio.to_thread(make_clips, folder)
    async with _room(url, folder, clips) as participants:
        outcome = Outcome(participants)
        await _exchange_messages(participants)
        for seat in (*SUBSCRIBERS, *LATE):
            await participants[seat.identity].tell("start")
        await _all(participants, lambda one: _reports_more(one, WARM_UP_SECONDS))
        outcome.began = {name: len(one.all("second")) for name, one in participants.items()}
        counted = [asyncio.create_task(_reports_more(one, COUNTED_SECONDS)) for one in participants.values()]
        for subscriber in SUBSCRIBERS:
            outcome.asked[subscriber.identity] = await _request_keyframes(participants, subscriber)
        await asyncio.gather(*counted)
        outcome.ended = {name: len(one.all("second")) for name, one in participants.items()}
        await _stop(participants)
        await _depart(outcome)
    return outcome


@asynccontextmanager
async def _room(
    url: str, folder: Path, clips: Mapping[str, tuple[Path, Path]]
) -> AsyncIterator[Mapping[str, Participant]]:
    """All participants, connected: early publishers send before the subscribers join, late ones join after
    them. All are killed at the end."""
    participants: dict[str, Participant] = {}
    try:
        for seats in (EARLY, SUBSCRIBERS, LATE):
            for seat in seats:
                participants[seat.identity] = await _start(seat, url, folder, clips.get(seat.identity))
            for seat in seats:
                await participants[seat.identity].has("connected", PATIENCE_SECONDS)
                await participants[seat.identity].has("data-open", PATIENCE_SECONDS)
                if seat in EARLY:
                    await participants[seat.identity].tell("start")
        for seat in SUBSCRIBERS:
            await participants[seat.identity].has("track", PATIENCE_SECONDS, 2 * len(PUBLISHERS))
        yield participants
    finally:
        await asyncio.gather(*(one.kill() for one in participants.values()))


async def _start(seat: Seat, url: str, folder: Path, clips: tuple[Path, Path] | None) -> Participant:
    audio, video = clips or ("", "")
    configuration = {
        "url": url.replace("http", "ws", 1) + "/v1/rtc",
        "token": mint_token(APP, room=ROOM, identity=seat.identity),
        "room": ROOM,
        "pairs": 0 if seat.video else len(PUBLISHERS),
        "audio": str(audio),
        "video": str(video),
    }
    return await Participant.start(seat.identity, seat.command, configuration, folder)


async def _all(participants: Mapping[str, Participant], work: Callable[[Participant], Any]) -> None:
    await asyncio.gather(*(work(one) for one in participants.values()))


async def _exchange_messages(participants: Mapping[str, Participant]) -> None:
    """Every participant sends a text, and bytes that need many SCTP packets, to all others."""
    for one in participants.values():
        await one.tell("say", text=f"hello from {one.identity}")
        await one.tell("say", size=LARGE_MESSAGE_BYTES)
    await _all(participants, lambda one: one.has("message", PATIENCE_SECONDS, 2 * (len(participants) - 1)))


async def _reports_more(one: Participant, seconds: int) -> None:
    await one.has("second", seconds + PATIENCE_SECONDS, len(one.all("second")) + seconds)


async def _request_keyframes(participants: Mapping[str, Participant], subscriber: Seat) -> set[str]:
    """The publishers whose client received a keyframe request after this subscriber's request to the
    server."""
    before = {seat.identity: _requests(participants[seat.identity]) for seat in PUBLISHERS}

    def asked() -> set[str]:
        return {name for name, count in before.items() if _requests(participants[name]) > count}

    for _ in range(KEYFRAME_TRIES):
        await participants[subscriber.identity].tell("request-keyframes")
        with contextlib.suppress(ConditionNotMet):
            await wait_until(lambda: len(asked()) == len(before), KEYFRAME_SECONDS)
            break
    return asked()


def _requests(publisher: Participant) -> int:
    seconds = publisher.all("second")
    return int(seconds[-1]["sent"]["video"]["requests"]) if seconds else 0


async def _stop(participants: Mapping[str, Participant]) -> None:
    """Stops the publishers, and waits for two reports without a change, after which no packet is in
    flight."""
    await _all(participants, lambda one: one.tell("stop"))
    await _all(participants, lambda one: one.has("stopped", PATIENCE_SECONDS))
    for seat in SUBSCRIBERS:
        one = participants[seat.identity]

        def settled(one: Participant = one, before: int = len(one.all("second"))) -> bool:
            seconds: Sequence[Mapping[str, Any]] = one.all("second")[before:]
            return len(seconds) >= 2 and seconds[-1]["received"] == seconds[-2]["received"]

        await one.until(settled, PATIENCE_SECONDS, "the last packets")


async def _depart(outcome: Outcome) -> None:
    """Participants leave one after another, publishers first, and all remaining ones must be notified."""
    remaining = [seat.identity for seat in (*PUBLISHERS, *SUBSCRIBERS)]
    while remaining:
        name = remaining.pop(0)
        with contextlib.suppress(ClientFailed):  # the tests report a missing exit code
            outcome.exit_codes[name] = await outcome.participants[name].leave(LEAVING_SECONDS)
        outcome.witnesses[name] = tuple(remaining)
        for other in remaining:
            await _departure_noticed(outcome.participants[other], name)


async def _departure_noticed(witness: Participant, identity: str) -> None:
    """Waits for the notification or an error; the tests evaluate who was notified."""

    def settled() -> bool:
        notified = any(event["identity"] == identity for event in witness.all("participant-left"))
        return notified or bool(witness.all("error"))

    with contextlib.suppress(ClientFailed):
        await witness.until(settled, LEAVING_SECONDS, f"the departure of {identity}")
