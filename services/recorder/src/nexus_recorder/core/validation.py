"""Checks the values of requests. A value that does not fit raises RpcError INVALID_ARGUMENT with the path of
its field, and costs nothing else."""

from collections.abc import Collection, Iterable
from typing import Final

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.types.v1 import media_pb2

from nexus_recorder import errors

# Maximum size of app, room, identity and other names, as at the SFU.
MAX_NAME_BYTES: Final = 512
MAX_REQUEST_ID_BYTES: Final = 128
MAX_MARKER_BYTES: Final = 256
MAX_CONSENT_BYTES: Final = 256
MAX_TEMPLATE_BYTES: Final = 512
# Maximum number of patterns to include, and of patterns to exclude.
MAX_PATTERNS: Final = 64
MAX_LABELS: Final = 32
MAX_LABEL_BYTES: Final = 256
MIN_SEGMENT_MS: Final = 2_000
MAX_SEGMENT_MS: Final = 20_000
DEFAULT_SEGMENT_MS: Final = 6_000
# Limits of a recording: defaults and maxima in seconds.
DEFAULT_DURATION_SECONDS: Final = 86_400
MAX_DURATION_SECONDS: Final = 30 * 86_400
DEFAULT_EMPTY_SECONDS: Final = 60
MAX_EMPTY_SECONDS: Final = 86_400
DEFAULT_QUEUE_SECONDS: Final = 60
MAX_QUEUE_SECONDS: Final = 86_400
MAX_RETENTION_SECONDS: Final = 100 * 366 * 86_400
# The last time that a request can name: the end of the year 9999.
MAX_TIME_MS: Final = 253_402_300_799_999
DEFAULT_TEMPLATE: Final = "{app}/{room}/{date}/{recording}/{identity}-{source}"
MAX_PAGE: Final = 500
DEFAULT_PAGE: Final = 50
DEFAULT_LINK_SECONDS: Final = 3_600
MAX_LINK_SECONDS: Final = 7 * 86_400


def check_known(message: Message, path: str = "") -> None:
    """Refuses fields that this release does not know. A newer caller may have excluded a track with one, and
    recording it nevertheless would be worse than an error."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        number = unknown[0].field_number
        raise errors.invalid_argument(f"{path}{number}", "this release does not know the field")
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            continue
        for one in (value,) if isinstance(value, Message) else value:
            check_known(one, f"{path}{descriptor.name}.")


def name(field: str, value: str, *, limit: int = MAX_NAME_BYTES, required: bool = True) -> str:
    """Returns `value`."""
    if required and not value:
        raise errors.invalid_argument(field, "must be set")
    if len(value.encode()) > limit:
        raise errors.invalid_argument(field, f"has at most {limit} bytes")
    return value


def number(field: str, value: int, minimum: int, maximum: int) -> int:
    """Returns `value`."""
    if not minimum <= value <= maximum:
        raise errors.invalid_argument(field, f"must be between {minimum} and {maximum}")
    return value


def spec(given: recording_pb2.RecordingSpec, path: str = "spec") -> recording_pb2.RecordingSpec:
    """The spec with every default filled in, so that it says what applies. The store and the key template are
    checked elsewhere, by the stores."""
    result = recording_pb2.RecordingSpec()
    result.CopyFrom(given)
    check_known(result, f"{path}.")
    result.tracks = result.tracks or not result.participants
    if not result.HasField("selection"):
        result.selection.SetInParent()
    selection(result.selection, f"{path}.selection")
    name(f"{path}.store", result.store, limit=64, required=False)
    name(f"{path}.key_template", result.key_template, limit=MAX_TEMPLATE_BYTES, required=False)
    result.key_template = result.key_template or DEFAULT_TEMPLATE
    _known_value(f"{path}.durability", result.durability, recording_pb2.Durability.values())
    result.durability = result.durability or recording_pb2.DURABILITY_SPOOL
    result.segment_ms = result.segment_ms or DEFAULT_SEGMENT_MS
    number(f"{path}.segment_ms", result.segment_ms, MIN_SEGMENT_MS, MAX_SEGMENT_MS)
    result.limits.CopyFrom(limits(result.limits, f"{path}.limits"))
    number(f"{path}.retention_seconds", result.retention_seconds, 0, MAX_RETENTION_SECONDS)
    _labels(f"{path}.labels", result.labels.items())
    return result


def selection(given: recording_pb2.TrackSelection, path: str) -> recording_pb2.TrackSelection:
    """Returns `given`."""
    check_known(given, f"{path}.")
    for kind, patterns in (("include", given.include), ("exclude", given.exclude)):
        number(f"{path}.{kind}", len(patterns), 0, MAX_PATTERNS)
        for index, pattern in enumerate(patterns):
            _pattern(pattern, f"{path}.{kind}[{index}]")
    name(f"{path}.consent", given.consent, limit=MAX_CONSENT_BYTES, required=False)
    return given


def _pattern(given: recording_pb2.TrackPattern, path: str) -> None:
    if given == recording_pb2.TrackPattern():
        raise errors.invalid_argument(path, "a pattern must set a field; identity * fits everything")
    for field in ("identity", "name", "track_id"):
        name(f"{path}.{field}", getattr(given, field), required=False)
    known = set(media_pb2.TrackSource.values()) - {media_pb2.TRACK_SOURCE_UNSPECIFIED}
    number(f"{path}.sources", len(given.sources), 0, len(known))
    for source in given.sources:
        _known_value(f"{path}.sources", source, known)


def limits(given: recording_pb2.RecordingLimits, path: str) -> recording_pb2.RecordingLimits:
    """The limits with every default filled in."""
    result = recording_pb2.RecordingLimits()
    result.CopyFrom(given)
    check_known(result, f"{path}.")
    for field, default, maximum in (
        ("max_duration_seconds", DEFAULT_DURATION_SECONDS, MAX_DURATION_SECONDS),
        ("empty_timeout_seconds", DEFAULT_EMPTY_SECONDS, MAX_EMPTY_SECONDS),
        ("queue_timeout_seconds", DEFAULT_QUEUE_SECONDS, MAX_QUEUE_SECONDS),
    ):
        value = getattr(result, field) or default
        setattr(result, field, number(f"{path}.{field}", value, 1, maximum))
    return result


def start(given: recorder_pb2.StartRecordingRequest) -> recording_pb2.RecordingSpec:
    """The spec of a start, with its defaults."""
    check_known(given)
    name("app", given.app)
    name("room", given.room)
    name("request_id", given.request_id, limit=MAX_REQUEST_ID_BYTES, required=False)
    name("started_by", given.started_by, required=False)
    return spec(given.spec)


def rule(given: recording_pb2.RecordingRule) -> recording_pb2.RecordingRule:
    """The rule with the defaults of its spec."""
    result = recording_pb2.RecordingRule()
    result.CopyFrom(given)
    check_known(result, "rule.")
    name("rule.app", given.app)
    name("rule.name", given.name, limit=128)
    name("rule.room_pattern", given.room_pattern)
    result.spec.CopyFrom(spec(given.spec, "rule.spec"))
    return result


def time_ms(field: str, value: int) -> int:
    """Returns a time in milliseconds since the Unix epoch, or 0."""
    return number(field, value, 0, MAX_TIME_MS)


def _known_value(field: str, value: int, known: Collection[int]) -> None:
    if value not in known:
        raise errors.invalid_argument(field, f"{value} is not a value of this release")


def _labels(field: str, labels: Iterable[tuple[str, str]]) -> None:
    pairs = list(labels)
    number(field, len(pairs), 0, MAX_LABELS)
    for key, value in pairs:
        name(f"{field}.key", key, limit=MAX_LABEL_BYTES)
        name(f"{field}.value", value, limit=MAX_LABEL_BYTES, required=False)
