"""Every subject, key and stream name that Nexus uses on NATS.

These names are a public contract for data engineers. App, room and identity appear in names as *tokens*: the
base64url form (RFC 4648 §5) of their UTF-8 bytes, without padding. So a room may be called ``>`` or ``a.b``
without reaching or breaking any other room's subject. ``token("lobby") == "bG9iYnk"``; ``untoken`` is the
inverse.

====================================  =====================================  =========================
what                                  name                                   carries
====================================  =====================================  =========================
events of a room                      nexus.v1.<app>.room.<room>.<event>     ``nexus.events.v1``
one-second call-quality samples       nexus.v1.<app>.qoe.<partition>         ``nexus.qoe.v1``
samples that could not be read        nexus.v1.<app>.qoe_refused.<partition> ``nexus.qoe.v1``
rooms and their placement             KV ``rooms``, key <app>.<room>         ``nexus.types.v1``
participants of a room                KV ``participants``,                   ``nexus.types.v1``
                                      key <app>.<room>.<identity>
SFU nodes that are alive, their load  KV ``nodes``, key <node>               ``nexus.types.v1``
events of a room's recordings         nexus.v1.<app>.recording.<room>        ``nexus.recorder.v1``
recordings                            KV ``recordings``,                     ``nexus.recorder.v1``
                                      key <app>.<recording>
rules that start recordings           KV ``recording_rules``,                ``nexus.recorder.v1``
                                      key <app>.<rule>
jobs and their owners                 KV ``jobs``, key <kind>.<job>          ``nexus.jobs.v1``
tickets of jobs that need an owner    nexus.v1.jobs.<kind>.<class>           ``nexus.jobs.v1``
how far webhooks are delivered        KV ``webhooks``,                       ``nexus.webhooks.v1``
                                      key <app>.<endpoint>
====================================  =====================================  =========================

Room events are core NATS messages: a service that is not subscribed misses them, and detects the gap by the
room's revision, which each event carries. Those of `ROOM_EVENTS_STREAM_KINDS` are also stored, in the stream
``ROOM_EVENTS``. The stream ``QOE`` stores the quality samples, ``QOE_REFUSED`` the batches of them that its
reader refused, and ``RECORDINGS`` the events of recordings. A partition of quality samples holds whole rooms:
it is the CRC-32 of app and room modulo `QOE_PARTITIONS`. Each kind of job has its own stream, a work queue,
because one stream of all kinds would store subjects that other streams store too (``nexus.v1.*.qoe.*``), and
JetStream refuses such streams.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from zlib import crc32

ROOT: Final = "nexus.v1"

ROOMS: Final = "rooms"
PARTICIPANTS: Final = "participants"
NODES: Final = "nodes"
RECORDINGS: Final = "recordings"
RECORDING_RULES: Final = "recording_rules"
JOBS: Final = "jobs"
WEBHOOKS: Final = "webhooks"
BUCKETS: Final = (ROOMS, PARTICIPANTS, NODES, RECORDINGS, RECORDING_RULES, JOBS, WEBHOOKS)

# Number of partitions of the quality samples. A change would separate the samples of a room.
QOE_PARTITIONS: Final = 32
QOE_STREAM: Final = "QOE"
QOE_STREAM_SUBJECTS: Final = (f"{ROOT}.*.qoe.*",)
QOE_REFUSED_STREAM: Final = "QOE_REFUSED"
QOE_REFUSED_STREAM_SUBJECTS: Final = (f"{ROOT}.*.qoe_refused.*",)
# Room events that are stored: those that say who was in a room when, and which tracks there were. The others
# are about one participant's slots and layers, or are measurements.
ROOM_EVENTS_STREAM: Final = "ROOM_EVENTS"
ROOM_EVENTS_STREAM_KINDS: Final = (
    "participant-joined",
    "participant-left",
    "participant-updated",
    "media-connected",
    "track-published",
    "track-unpublished",
    "track-muted",
    "track-updated",
    "room-updated",
    "room-closed",
)
ROOM_EVENTS_STREAM_SUBJECTS: Final = tuple(f"{ROOT}.*.room.*.{kind}" for kind in ROOM_EVENTS_STREAM_KINDS)
RECORDINGS_STREAM: Final = "RECORDINGS"
RECORDINGS_STREAM_SUBJECTS: Final = (f"{ROOT}.*.recording.*",)

# Third or fourth tokens of other subjects, which no kind of job may be called.
_RESERVED_KINDS: Final = frozenset(("room", "qoe", "qoe_refused", "recording", "transcript"))
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def token(text: str) -> str:
    """The base64url form of `text`, without padding. Raises ValueError if `text` is empty, because a subject
    cannot contain an empty token."""
    if not text:
        raise ValueError("a subject cannot contain an empty name")
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")


def untoken(part: str) -> str:
    """The text that a token encodes. Raises ValueError if `part` is not a result of `token`."""
    padded = part + "=" * (-len(part) % 4)
    try:
        text = urlsafe_b64decode(padded).decode()
    except ValueError as error:
        raise ValueError(f"not a base64url token: {part!r}") from error
    # b64decode skips unknown characters and ignores spare bits, but each text must have exactly one token.
    if not text or token(text) != part:
        raise ValueError(f"not a base64url token: {part!r}")
    return text


def _plain(name: str) -> str:
    """A name that Nexus or its operator chose (of an event, of a node): checked but not encoded, so that it
    stays readable."""
    if not name or not _NAME_CHARACTERS.issuperset(name):
        raise ValueError(f"only letters, digits, '-' and '_' are allowed: {name!r}")
    return name


def room_event(app: str, room: str, name: str) -> str:
    """The subject of one kind of event in one room; `name` is for example ``track-published``."""
    return f"{ROOT}.{token(app)}.room.{token(room)}.{_plain(name)}"


def room_events(app: str, room: str) -> str:
    """The pattern for all events of one room."""
    return f"{ROOT}.{token(app)}.room.{token(room)}.>"


def all_room_events(app: str | None = None) -> str:
    """The pattern for all events of all rooms of an app, or of every app."""
    return f"{ROOT}.{'*' if app is None else token(app)}.room.>"


def qoe_partition(app: str, room: str) -> int:
    """The partition of a room's quality samples: CRC-32 of ``<app>.<room>``, as tokens, modulo 32."""
    return crc32(f"{token(app)}.{token(room)}".encode("ascii")) % QOE_PARTITIONS


def qoe(app: str, partition: int) -> str:
    """The subject of the quality samples of an app's rooms in one partition, which the stream `QOE_STREAM`
    stores. Raises ValueError for a partition that does not exist."""
    return f"{ROOT}.{token(app)}.qoe.{_partition(partition)}"


def qoe_partition_filter(partition: int) -> str:
    """The pattern for the quality samples of one partition, of all apps."""
    return f"{ROOT}.*.qoe.{_partition(partition)}"


def qoe_refused(app: str, partition: int) -> str:
    """The subject of batches that were refused, which the stream `QOE_REFUSED_STREAM` stores."""
    return f"{ROOT}.{token(app)}.qoe_refused.{_partition(partition)}"


def parse_qoe(subject: str) -> tuple[str, int]:
    """(app, partition) of a subject made by `qoe`. Raises ValueError for other subjects."""
    parts = subject.split(".")
    if len(parts) != 5 or parts[:2] != ROOT.split(".") or parts[3] != "qoe" or not parts[4].isdecimal():
        raise ValueError(f"not the subject of quality samples: {subject!r}")
    app, partition = untoken(parts[2]), _partition(int(parts[4]))
    if qoe(app, partition) != subject:
        raise ValueError(f"not the subject of quality samples: {subject!r}")
    return app, partition


def _partition(partition: int) -> int:
    if not 0 <= partition < QOE_PARTITIONS:
        raise ValueError(f"there is no partition {partition}")
    return partition


def recording_events(app: str, room: str) -> str:
    """The subject of the events of a room's recordings, which the stream `RECORDINGS_STREAM` stores."""
    return f"{ROOT}.{token(app)}.recording.{token(room)}"


def all_recording_events(app: str) -> str:
    """The pattern for the events of all recordings of an app."""
    return f"{ROOT}.{token(app)}.recording.*"


def webhook_endpoint_key(app: str, endpoint: str) -> str:
    """The key of an endpoint in KV `webhooks`. Raises ValueError for an id that no endpoint can have."""
    return f"{token(app)}.{_plain(endpoint)}"


def recording_key(app: str, recording: str) -> str:
    """The key of a recording in KV `recordings`. Raises ValueError for an id that no recording can have."""
    return f"{token(app)}.{_plain(recording)}"


def parse_recording_key(key: str) -> tuple[str, str]:
    """(app, id) of a key made by `recording_key`."""
    app, recording = key.split(".")
    return untoken(app), _plain(recording)


def recording_rule_key(app: str, rule: str) -> str:
    """The key of a rule in KV `recording_rules`."""
    return f"{token(app)}.{token(rule)}"


def app_filter(app: str) -> str:
    """The pattern for all keys of one app, for `KeyValue.watch` and `KeyValue.keys`."""
    return f"{token(app)}.>"


def parse_room_event(subject: str) -> tuple[str, str, str]:
    """(app, room, event name) of a subject made by `room_event`. Raises ValueError for other subjects."""
    parts = subject.split(".")
    if len(parts) != 6 or parts[:2] != ROOT.split(".") or parts[3] != "room":
        raise ValueError(f"not the subject of a room event: {subject!r}")
    return untoken(parts[2]), untoken(parts[4]), _plain(parts[5])


def room_key(app: str, room: str) -> str:
    """The key of a room in KV `rooms`, which holds its placement and settings."""
    return f"{token(app)}.{token(room)}"


def participant_key(app: str, room: str, identity: str) -> str:
    """The key of a participant in KV `participants`."""
    return f"{token(app)}.{token(room)}.{token(identity)}"


def participants_filter(app: str, room: str) -> str:
    """The pattern for all participants of one room, for `KeyValue.watch` and `KeyValue.keys`."""
    return f"{token(app)}.{token(room)}.*"


def node_key(node: str) -> str:
    """The key of an SFU node in KV `nodes`, which the node writes as its heartbeat."""
    return _plain(node)


def parse_room_key(key: str) -> tuple[str, str]:
    """(app, room) of a key made by `room_key`."""
    app, room = key.split(".")
    return untoken(app), untoken(room)


def parse_participant_key(key: str) -> tuple[str, str, str]:
    """(app, room, identity) of a key made by `participant_key`."""
    app, room, identity = key.split(".")
    return untoken(app), untoken(room), untoken(identity)


def job_kind(kind: str) -> str:
    """Returns `kind`. Raises ValueError unless it can be the name of a kind of job."""
    if _plain(kind) in _RESERVED_KINDS:
        raise ValueError(f"other subjects use the name {kind!r}")
    return kind


def job_tickets(kind: str, job_class: str) -> str:
    """The subject of the tickets of one kind and class of jobs."""
    return f"{ROOT}.jobs.{job_kind(kind)}.{_plain(job_class)}"


def job_stream(kind: str) -> str:
    """The name of the stream that stores the tickets of one kind: ``JOBS_record``."""
    return f"JOBS_{job_kind(kind)}"


def job_stream_subjects(kind: str) -> tuple[str, ...]:
    """The subjects of `job_stream(kind)`."""
    return (f"{ROOT}.jobs.{job_kind(kind)}.*",)


def job_consumer(kind: str, job_class: str) -> str:
    """The name of the durable consumer that all replicas share for one kind and class."""
    return f"{job_kind(kind)}_{_plain(job_class)}"


def job_key(kind: str, job_id: str) -> str:
    """The key of a job in KV `jobs`."""
    return f"{job_kind(kind)}.{_plain(job_id)}"


def jobs_filter(kind: str) -> str:
    """The pattern for all jobs of one kind, for `KeyValue.watch` and `KeyValue.keys`."""
    return f"{job_kind(kind)}.*"
