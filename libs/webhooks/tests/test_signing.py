"""Signatures and bodies of webhooks."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from nexus_bus import StoredMessage
from nexus_webhooks import WebhookEvent, make_body
from nexus_webhooks.recordings import RECORDINGS, read_recording_event
from nexus_webhooks.signing import signed_headers
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from libs.webhooks.tests.site import event

KEY = bytes(range(40, 72))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLD = "whsec_" + base64.b64encode(bytes(24)).decode()
BODY = make_body("recording.started", 1_770_000_000_123, {"room": "Küche"})
EVENT = WebhookEvent("RC_1-7", "room", "recording.started", BODY)


def stored(payload: bytes) -> StoredMessage:
    return StoredMessage("x", payload, 1, 0)


def test_the_signature_is_that_of_the_specification() -> None:
    headers = signed_headers(EVENT, [SECRET], 1_674_087_231_999)
    signed = b"RC_1-7.1674087231." + BODY
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "RC_1-7",
        "webhook-timestamp": "1674087231",
        "webhook-signature": f"v1,{expected}",
    }


def test_receivers_with_the_old_and_the_new_secret_accept_it() -> None:
    headers = signed_headers(EVENT, [SECRET, OLD], time.time_ns() // 1_000_000)
    for secret in (SECRET, OLD):
        assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 24).decode()).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers)


def test_the_body_is_the_canonical_json_of_the_event() -> None:
    made = event("Küche", 12, "completed")
    made.completed.files.add(key="a/b.mp4", bytes=1 << 40)
    read = read_recording_event(stored(made.SerializeToString()))
    assert read is not None
    assert (read.id, read.room, read.type) == ("RC_Küche-12", "Küche", "recording.completed")
    document = json.loads(read.body)
    assert document["type"] == "recording.completed"
    assert document["timestamp"] == "2026-02-02T02:40:00.012Z"
    assert document["data"]["number"] == "12"
    assert document["data"]["completed"]["files"][0]["bytes"] == str(1 << 40)


def test_every_event_of_a_recording_has_a_type() -> None:
    assert len(RECORDINGS.types) == 9
    for event_type in RECORDINGS.types:
        kind = event_type.removeprefix("recording.")
        read = read_recording_event(stored(event("r", 1, kind).SerializeToString()))
        assert read is not None
        assert read.type == event_type
    assert RECORDINGS.on_request <= RECORDINGS.types


def test_what_is_no_event_is_skipped() -> None:
    made = event("r", 1)
    made.ClearField("paused")
    distant = event("r", 1)
    distant.at_ms = 1 << 62
    for payload in (b"", b"\xff\xff", made.SerializeToString(), distant.SerializeToString()):
        assert read_recording_event(stored(payload)) is None
