"""The client of `nexus_load script` (native/bench/load/load_script.h), and the interface of an SFU's adapter.

The generator handles only media. An adapter does the signaling of one SFU: it starts the server, joins the
participants, and passes the ICE and DTLS parameters and the streams of each to the generator.
"""

import asyncio
import ipaddress
import os
import socket
import subprocess
import threading
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from _network import FIRST_PEER, inside_load
from _sdp import (
    AUDIO_MID,
    AUDIO_PT,
    RTX_PT,
    VIDEO_MID,
    VIDEO_PT,
    Description,
    Endpoint,
    Published,
    own_media_lines,
)

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
BINARY = BUILD / "bench" / "nexus_load"

# Three encodings of 720p, low to high: rid, bits per second, width, height.
SIMULCAST = (("q", 150_000, 320, 180), ("h", 500_000, 640, 360), ("f", 1_500_000, 1280, 720))


def build(*targets: str) -> None:
    """Configures and compiles the generator (or other targets), if it is missing or its sources have
    changed."""
    configure = ["cmake", "-S", "native", "-B", str(BUILD), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    quiet = subprocess.DEVNULL
    if not (BUILD / "build.ninja").exists():
        subprocess.run(
            [*configure, "-DNEXUS_TESTS=OFF", "-DNEXUS_BENCH=ON"], cwd=ROOT, check=True, stdout=quiet
        )
    subprocess.run(
        ["ninja", "-C", str(BUILD), *(targets or ("nexus_load",))], cwd=ROOT, check=True, stdout=quiet
    )


@dataclass(slots=True)
class Participant:
    """One participant of a scene: the tracks that it publishes, and its numbers of audio and video slots."""

    index: int
    audio: bool = False
    video: bool = False
    simulcast: bool = True
    loss_percent: float = 0.0
    audio_slots: int = 0
    video_slots: int = 0
    endpoints: list[Endpoint] = field(
        default_factory=list
    )  # one or two peer connections, as the server needs
    publisher: Endpoint | None = None  # the endpoint that sends

    @property
    def audio_ssrc(self) -> int:
        return 0x10000000 + self.index * 16

    def encodings(self) -> Sequence[tuple[str, int, int, int]]:
        return SIMULCAST if self.simulcast else SIMULCAST[-1:]

    def video_ssrc(self, encoding: int) -> tuple[int, int]:
        return self.audio_ssrc + 1 + 2 * encoding, self.audio_ssrc + 2 + 2 * encoding

    @property
    def publishes(self) -> bool:
        return self.audio or self.video

    @property
    def watches(self) -> bool:
        return self.audio_slots + self.video_slots > 0

    @property
    def published(self) -> Published:
        encodings = [(rid, *self.video_ssrc(i)) for i, (rid, *_) in enumerate(self.encodings())]
        return Published(self.audio_ssrc if self.audio else None, encodings if self.video else ())


class LoadError(Exception):
    """The generator refused a line, or it has ended."""


class Generator:
    def __init__(self, *, core: int, gro: bool, open_one_in: int = 32) -> None:
        environment = {
            **os.environ,
            "NEXUS_LOAD_CORE": str(core),
            "NEXUS_LOAD_GRO": str(int(gro)),
            "NEXUS_LOAD_FIRST_IP": str(int(FIRST_PEER)),
            "NEXUS_LOAD_OPEN_ONE_IN": str(open_one_in),
        }
        self._process = subprocess.Popen(
            inside_load([str(BINARY), "script"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._one_at_a_time = threading.Lock()  # `until` pumps from another thread
        hello = _values(self._read())
        self.fingerprint = hello["fingerprint"]
        host, _, self._port = hello["first_address"].rpartition(":")
        self._first = ipaddress.IPv4Address(host)

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadError("the generator has ended")
        return line.strip()

    def raw(self, line: str) -> str:
        assert self._process.stdin is not None
        with self._one_at_a_time:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._read()
        if answer.startswith("error"):
            raise LoadError(f"{line}: {answer}")
        return answer

    def ask(self, line: str) -> dict[str, str]:
        return _values(self.raw(line))

    def add(
        self, participant: Participant, *, sends: bool = True, media: Iterable[str] = (), loss: bool = True
    ) -> Endpoint:
        """Adds a peer connection of that participant. `media` are the `codec` and `extension` lines for a
        server that chooses payload types and extension ids itself."""
        for line in media or own_media_lines():
            self.ask(line)
        answer = self.ask(f"peer loss={participant.loss_percent if loss else 0}")
        peer = int(answer["index"])
        address = f"{self._first + peer}:{self._port}"
        endpoint = Endpoint(peer, answer["ufrag"], answer["pwd"], self.fingerprint, address)
        participant.endpoints.append(endpoint)
        if sends:
            participant.publisher = endpoint
            self._publish(participant, peer)
        return endpoint

    def _publish(self, participant: Participant, peer: int) -> None:
        if participant.audio:
            words = f"codec=opus pt={AUDIO_PT} ssrc={participant.audio_ssrc} mid={AUDIO_MID}"
            self.ask(f"send peer={peer} kind=audio {words}")
        if not participant.video:
            return
        for i, (rid, bitrate, _, _) in enumerate(participant.encodings()):
            ssrc, rtx = participant.video_ssrc(i)
            name = f" rid={rid}" if participant.simulcast else ""
            self.ask(
                f"send peer={peer} kind=video codec=VP8 pt={VIDEO_PT} rtx_pt={RTX_PT} ssrc={ssrc}"
                f" rtx_ssrc={rtx} mid={VIDEO_MID} bitrate={bitrate}{name}"
            )

    def receive(self, endpoint: Endpoint, description: Description, *, known: set[int] | None = None) -> None:
        """Adds a stream for every section on which the server sends, except those with SSRCs in `known`."""
        for section in description.received():
            if known is not None and section.ssrc in known:
                continue
            if known is not None:
                known.add(section.ssrc)
            words = f"kind={section.kind} ssrc={section.ssrc} rtx_ssrc={section.rtx_ssrc}"
            self.ask(f"receive peer={endpoint.peer} {words}")

    def set_media(self, endpoint: Endpoint, media: Iterable[str]) -> None:
        """Replaces the codecs and extensions of a peer connection, which a later offer may introduce."""
        for line in (*media, f"media peer={endpoint.peer}"):
            self.ask(line)

    def connect(self, endpoint: Endpoint, description: Description) -> None:
        self.ask(f"connect peer={endpoint.peer} {description.transport}")

    def keyframes(self, participants: Iterable[Participant]) -> None:
        for participant in participants:
            if participant.video and participant.publisher:
                self.ask(f"keyframe peer={participant.publisher.peer}")

    def leave(self, participant: Participant) -> None:
        for endpoint in participant.endpoints:
            self.ask(f"close peer={endpoint.peer}")
        self.pump()

    def pump(self, milliseconds: int = 2) -> None:
        """Runs the connected peers for a moment, while other participants are signaled."""
        self.ask(f"run seconds=0 ms={milliseconds}")

    async def until(self, awaited: Awaitable[T]) -> T:
        """Awaits with the load running, because some servers announce a track only when its media arrives."""
        task = asyncio.ensure_future(awaited)
        while not task.done():
            await asyncio.to_thread(self.pump, 5)
        return task.result()

    def close(self) -> None:
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.write("quit\n")
            self._process.stdin.flush()
            self._process.wait(timeout=30)


def _values(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


class Adapter(Protocol):
    """One SFU under test, with everything that differs between servers."""

    name: str

    async def start(self, *, core: int) -> None: ...

    async def join(self, generator: Generator, participants: Sequence[Participant]) -> None:
        """Joins these participants in addition to earlier ones, and sends the generator `receive` and
        `connect` for each."""
        ...

    async def leave(self, generator: Generator, participants: Sequence[Participant]) -> None: ...

    async def counters(self) -> dict[str, int] | None:
        """`datagrams_out`, `gso_segments` and `gso_runs` since the start; None if the server does not report
        them."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time of all threads of the server's process since its start."""
        ...

    def media_cpu_seconds(self) -> float | None:
        """CPU time of only the threads that carry media; None if they cannot be distinguished."""
        ...

    def memory_bytes(self) -> int: ...

    def features(self) -> dict[str, object]:
        """Version, settings and enabled features (TWCC, pacing, RTX), which are recorded with the results."""
        ...

    async def stop(self) -> None: ...


def process_cpu_seconds(pid: int, thread_prefix: str | None = None) -> float:
    """utime and stime from /proc/<pid>/stat, or of only the threads whose name begins with
    `thread_prefix`."""
    tick = os.sysconf("SC_CLK_TCK")

    def seconds(path: Path) -> float:
        fields = path.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / tick

    if thread_prefix is None:
        return seconds(Path(f"/proc/{pid}/stat"))
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(seconds(t / "stat") for t in tasks if (t / "comm").read_text().startswith(thread_prefix))


def process_memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
