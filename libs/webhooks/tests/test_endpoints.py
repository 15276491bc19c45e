"""Endpoints as an operator configures them."""

import base64
from typing import Any

import pytest
from nexus_webhooks import RECORDINGS, Endpoint, EndpointRules, parse_endpoints

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(24)).decode().rstrip("=")
RULES = EndpointRules(RECORDINGS.types)
URL = "https://shop.example/hooks?token=in-the-url"


def parse(*entries: Any, rules: EndpointRules = RULES) -> tuple[list[Endpoint], list[str]]:
    return parse_endpoints("shop", list(entries), rules)


def test_an_endpoint_with_everything() -> None:
    (found,), faults = parse(
        {
            "url": URL,
            "secret": [SECRET, OTHER],
            "events": ["recording.completed", "recording.f*"],
            "name": "crm",
        }
    )
    assert faults == []
    assert (found.app, found.url, found.secrets) == ("shop", URL, (SECRET, OTHER))
    assert found.host == "shop.example"
    for event_type in ("recording.completed", "recording.failed"):
        assert found.wants(event_type, on_request=False)
    assert not found.wants("recording.started", on_request=False)
    assert SECRET not in repr(found)
    assert "token" not in repr(found)


def test_segments_are_sent_only_on_request() -> None:
    (default, everything), _ = parse(
        {"url": URL, "secret": SECRET}, {"url": URL + "2", "secret": SECRET, "events": ["*"]}
    )
    assert default.wants("recording.started", on_request=False)
    assert not default.wants("recording.segment", on_request=True)
    assert everything.wants("recording.segment", on_request=True)


def test_deliveries_are_remembered_by_name_or_url() -> None:
    (one,), _ = parse({"url": URL, "secret": SECRET})
    (rotated,), _ = parse({"url": URL, "secret": [OTHER, SECRET]})
    (moved,), _ = parse({"url": URL + "2", "secret": SECRET})
    (named,), _ = parse({"url": URL, "secret": SECRET, "name": "crm"})
    (named_and_moved,), _ = parse({"url": URL + "2", "secret": SECRET, "name": "crm"})
    assert one.id == rotated.id
    assert one.id != moved.id
    assert named.id == named_and_moved.id
    assert len({one.id, moved.id, named.id}) == 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"url": None}, "url is not a text"),
        ({"url": "https://x.example/" + "a" * 2048}, "url is not a text"),
        ({"url": "https://x.example/\r\nHost: y"}, "url is not a text"),
        ({"url": "http://shop.example"}, "url must begin with https://"),
        ({"url": "ftp://shop.example"}, "url must begin with https://"),
        ({"url": "https://"}, "url must begin with https://"),
        ({"url": "https://x.example:port/"}, "url is not a URL"),
        ({"url": "https://me:hush@x.example/"}, "url must have no user"),
        ({"url": "https://x.example/#part"}, "url must have no user"),
        ({"secret": None}, "secret is not a text"),
        ({"secret": []}, "secret is not a text"),
        ({"secret": [SECRET] * 5}, "secret is not a text"),
        ({"secret": "hush"}, "secret is not whsec_"),
        ({"secret": "whsec_" + "A" * 8}, "secret is not whsec_"),
        ({"secret": "whsec_" + "A" * 200}, "secret is not whsec_"),
        ({"secret": "whsec_?" + "A" * 40}, "secret is not whsec_"),
        ({"secret": [SECRET, "hush"]}, "secret is not whsec_"),
        ({"events": "recording.started"}, "events is not a list"),
        ({"events": ["recording.begun"]}, "events has a type that does not exist"),
        ({"events": ["*.started"]}, "events has a type that does not exist"),
        ({"events": ["room.*"]}, "events has a type that does not exist"),
        ({"name": 7}, "name is not a text"),
        ({"name": "n" * 65}, "name is not a text"),
        ({"urls": "x"}, "unknown field 'urls'"),
    ],
)
def test_faults_name_the_field_and_quote_no_value(change: dict[str, Any], fault: str) -> None:
    found, faults = parse({"url": URL, "secret": SECRET} | change)
    assert found == []
    assert len(faults) == 1
    assert faults[0].startswith(f"webhooks[0]: {fault}")
    assert not any(hidden in faults[0] for hidden in ("hush", "in-the-url", SECRET))


def test_every_fault_is_listed() -> None:
    good = {"url": URL, "secret": SECRET}
    found, faults = parse(good, 7, {"url": "x", "secret": "x", "events": 1}, good)
    assert len(found) == 1
    assert [fault.partition(" ")[0] for fault in faults] == ["webhooks[1]:"] + ["webhooks[2]:"] * 3 + [
        "webhooks[3]:"
    ]


@pytest.mark.parametrize("entries", [{}, "x", [{}] * 17])
def test_the_number_of_endpoints_is_bounded(entries: Any) -> None:
    assert parse_endpoints("shop", entries, RULES)[1][0].startswith("webhooks is not a list")


def test_http_is_allowed_on_request() -> None:
    found, faults = parse(
        {"url": "http://shop.example", "secret": SECRET},
        rules=EndpointRules(RECORDINGS.types, allow_http=True),
    )
    assert len(found) == 1
    assert faults == []
