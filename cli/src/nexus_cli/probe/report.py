"""The result of a probe: the steps in order, the measurements of each track, and a verdict. It holds plain
values only and is written as JSON unchanged (docs/guides/operators.md explains the fields)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["waiting", "running", "ok", "failed", "skipped"]

STEPS = ("token", "websocket", "answer", "ice", "dtls", "sent", "partner", "received", "frames", "quality")


class StepFailed(Exception):
    """The running step failed, with the reason `why` and a `hint` for the operator."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


@dataclass(slots=True)
class Step:
    name: str
    state: State = "waiting"
    ms: float | None = None
    text: str = ""
    hint: str = ""


@dataclass(slots=True)
class SentTrack:
    kind: str
    codec: str
    packets: int
    octets: int
    lost: int | None
    """From the server's receiver reports; None if none arrived."""
    rtt_ms: float | None


@dataclass(slots=True)
class ReceivedTrack:
    participant: str
    kind: str
    source: str
    codec: str
    packets: int
    frames: int
    frames_per_second: float
    width: int = 0
    height: int = 0
    expected: bool | None = None
    """Whether picture or tone are those that the partner sends; None for other participants."""


@dataclass(slots=True)
class SlotStats:
    """Statistics of the RTP stream in one receive-only section (RFC 3550 section 6.4.1)."""

    mid: str
    kind: str
    packets: int
    lost: int
    jitter_ms: float


@dataclass(slots=True)
class Report:
    """The whole result. `on_change` is called whenever a step changes."""

    url: str
    room: str = ""
    identity: str = ""
    srtp_profile: str | None = None
    node: str = ""
    server_version: str = ""
    signaling_rtt_ms: float | None = None
    rtt_ms: float | None = None
    steps: list[Step] = field(default_factory=lambda: [Step(name) for name in STEPS])
    sent: list[SentTrack] = field(default_factory=list)
    received: list[ReceivedTrack] = field(default_factory=list)
    slots: list[SlotStats] = field(default_factory=list)
    on_change: Callable[[], None] = lambda: None

    @property
    def failed(self) -> Step | None:
        return next((step for step in self.steps if step.state == "failed"), None)

    @property
    def ok(self) -> bool:
        return all(step.state in ("ok", "skipped") for step in self.steps)

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    @contextmanager
    def running(self, name: str) -> Iterator[Step]:
        """Times a step. It is ok when the block ends, and failed when the block raises StepFailed."""
        step = self.step(name)
        step.state = "running"
        self.on_change()
        began = time.monotonic()
        try:
            yield step
        except StepFailed as failure:
            step.state, step.text, step.hint = "failed", failure.why, failure.hint
            raise
        else:
            if step.state == "running":
                step.state = "ok"
        finally:
            step.ms = round((time.monotonic() - began) * 1000, 1)
            self.on_change()

    def skip(self, name: str, why: str) -> None:
        step = self.step(name)
        step.state, step.text = "skipped", why
        self.on_change()

    def as_json(self) -> dict[str, Any]:
        failed = self.failed
        values = asdict(self)
        del values["on_change"]
        return {"ok": self.ok, "failed": failed.name if failed else None, **values}
