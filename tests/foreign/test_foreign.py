"""Foreign WebRTC stacks with the real services: all publish and subscribe at once for 45 seconds, and both
ends count everything (README.md).
"""

import zlib

import pytest
from harness.roster import PUBLISHERS, SEATS, SUBSCRIBERS
from harness.run import COUNTED_SECONDS, LARGE_MESSAGE_BYTES, Outcome
from harness.verdicts import MOST_LOST, invented, missing, missing_runs, stalls

ALL = [seat.identity for seat in SEATS]
FROM = [seat.identity for seat in PUBLISHERS]
TO = [seat.identity for seat in SUBSCRIBERS]
COLOURS = {seat.identity: seat.colour for seat in PUBLISHERS}
DECODERS = [identity for identity in TO if identity.startswith("sdk")]

pytestmark = pytest.mark.timeout(400)
everyone = pytest.mark.parametrize("identity", ALL)
publisher = pytest.mark.parametrize("publisher", FROM)
subscriber = pytest.mark.parametrize("subscriber", TO)
kind = pytest.mark.parametrize("kind", ["audio", "video"])


@everyone
def test_no_client_reports_an_error(outcome: Outcome, identity: str) -> None:
    assert outcome.participants[identity].all("error") == []


@subscriber
def test_no_track_is_paused(outcome: Outcome, subscriber: str) -> None:
    assert outcome.participants[subscriber].all("track-paused") == []


@publisher
@subscriber
@kind
def test_media_arrives_in_every_second(outcome: Outcome, publisher: str, subscriber: str, kind: str) -> None:
    counts = [counted.get("packets", 0) for counted in outcome.received(subscriber, publisher, kind)]
    assert len(counts) > COUNTED_SECONDS
    assert stalls(counts) == [], counts


@publisher
@subscriber
@kind
def test_sent_packets_arrive_unaltered(outcome: Outcome, publisher: str, subscriber: str, kind: str) -> None:
    sent = outcome.sent_checksums(publisher, kind)
    received = outcome.received_checksums(subscriber, publisher, kind)
    counted = sent[outcome.sent(publisher, kind)[0]["packets"] :]
    assert invented(sent, received) == 0
    assert missing(counted, received) <= MOST_LOST, missing_runs(counted, received)


@publisher
@subscriber
def test_frames_and_keyframes_arrive_whole(outcome: Outcome, publisher: str, subscriber: str) -> None:
    sent = outcome.sent(publisher, "video")
    received = outcome.received(subscriber, publisher, "video")
    for counter in ("frames", "keyframes"):
        out = sent[-1][counter] - sent[0][counter]
        came = received[-1][counter] - received[0].get(counter, 0)
        # The two clients report at different moments: up to a second of frames, and one keyframe.
        assert came == pytest.approx(out, abs=1 if counter == "keyframes" else 16), counter


@subscriber
def test_a_keyframe_request_reaches_all_publishers(outcome: Outcome, subscriber: str) -> None:
    assert outcome.asked[subscriber] == set(FROM)


@publisher
@pytest.mark.parametrize("subscriber", DECODERS)
def test_received_video_decodes_to_the_publishers_colour(
    outcome: Outcome, publisher: str, subscriber: str
) -> None:
    received = outcome.received(subscriber, publisher, "video")[-1]
    assert tuple(received["colour"]) == pytest.approx(COLOURS[publisher], abs=40)
    # The SDK drops decoded frames if its reader is too slow, so their number depends on the machine. The test
    # above covers that all frames arrive whole.
    assert received["decoded"] >= COUNTED_SECONDS
    assert outcome.received(subscriber, publisher, "audio")[-1]["decoded"] > 0


@everyone
def test_messages_from_all_others_arrive_whole(outcome: Outcome, identity: str) -> None:
    others = set(ALL) - {identity}
    heard = outcome.participants[identity].all("message")
    large = zlib.crc32(bytes(at % 251 for at in range(LARGE_MESSAGE_BYTES)))
    assert {(one["from"], one["text"]) for one in heard if "text" in one} == {
        (other, f"hello from {other}") for other in others
    }
    assert {(one["from"], one["size"], one["crc"]) for one in heard if "text" not in one} == {
        (other, LARGE_MESSAGE_BYTES, large) for other in others
    }


@everyone
def test_every_packet_names_its_track(outcome: Outcome, identity: str) -> None:
    assert outcome.participants[identity].all("second")[-1]["unattributed"] == 0


@everyone
def test_leaving_is_clean(outcome: Outcome, identity: str) -> None:
    assert len(outcome.participants[identity].all("left")) == 1
    assert outcome.exit_codes.get(identity) == 0
    for witness in outcome.witnesses[identity]:
        seen = [
            event
            for event in outcome.participants[witness].all("participant-left")
            if event["identity"] == identity
        ]
        reasons = {event.get("reason", "DISCONNECT_REASON_CLIENT_LEFT") for event in seen}
        assert reasons == {"DISCONNECT_REASON_CLIENT_LEFT"}
