"""Hostile offers: the outcome is always an answer or a typed error."""

import os
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from nexus_rpc import RpcError
from nexus_sfu.core.model import IceCredentials, Slot, Source
from nexus_sfu.sdp import (
    AnswerTransport,
    CandidateLine,
    PublicationRequest,
    build_answer,
    negotiate,
    parse_offer,
)

OFFERS = sorted((Path(__file__).parent / "offers").glob("*.sdp"))
TRANSPORT = AnswerTransport(
    IceCredentials("abcd", "p" * 24), (CandidateLine("1", 1, "192.0.2.1", 1),), ":".join(["AB"] * 32)
)
FRAGMENTS = (
    b"m=", b"a=", b"a=mid:", b"a=rtpmap:", b"a=fmtp:", b"a=extmap:", b"a=ssrc:", b"a=ssrc-group:FID ",
    b"a=group:BUNDLE ", b"a=rid:1 send", b"a=simulcast:send 1;2", b"a=ssrc-group:SIM ",
    b"a=simulcast:recv x send 1,~2;3", b"\r\n", b"\n", b"\x00", b" ", b":", b"/",
    b"-1", b"65536", b"4294967296", b"9" * 5_000, b"1e9", b"inf", b"nan", "é\u2028".encode(), b"\xff",
)  # fmt: skip
REQUESTS = (PublicationRequest("0", Source.MICROPHONE), PublicationRequest("1", Source.CAMERA))


def survive(data: bytes) -> bool:
    """True for an answer, false for a typed error."""
    text = data.decode("utf-8", "replace")
    refusal: RpcError | None = None
    try:
        result = negotiate(parse_offer(text), REQUESTS)
    except RpcError as error:
        refusal = error
    if refusal is not None:
        assert refusal.name in ("INVALID_SDP", "INVALID_ARGUMENT", "UNSUPPORTED_CODEC")
        assert len(refusal.message) < 200
        return False
    slots = {s.mid: Slot(s.mid, s.kind, 0, s.formats, ssrc=1, rtx_ssrc=2) for s in result.media.slots}
    answer = build_answer(result, TRANSPORT, slots, session_id=1, session_version=1)
    # An offer must not be able to insert lines into the answer.
    assert all(line[1:2] == "=" for line in answer.split("\n")[:-1])
    return True


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Makes a few random changes: bytes, lines or inserted SDP fragments."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data = data[:at] + rng.choice(FRAGMENTS) + data[at:]
            case 1:
                data = data[:at] + data[at + rng.randint(1, 200) :]
            case 2:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 3:
                lines = data.split(b"\r\n")
                i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[i], lines[j] = lines[j], lines[i]
                data = b"\r\n".join(lines)
            case _:
                other = rng.choice(OFFERS).read_bytes()
                start = rng.randrange(len(other))
                data = data[:at] + other[start : start + rng.randint(1, 2_000)] + data[at:]
    return data


def corpora() -> list[Path]:
    """The fuzzing corpora of other projects in the folder NEXUS_TEST_DATA."""
    folder = os.environ.get("NEXUS_TEST_DATA")
    found = (Path(folder) / "corpora" / "sdp_fuzzer").rglob("*") if folder else ()
    return [path for path in found if path.is_file()]


def test_recorded_offers_and_corpora() -> None:
    # Four of the sixteen have no section 0, which the requests refer to.
    assert sum(survive(path.read_bytes()) for path in OFFERS) == 12
    for path in corpora():
        survive(path.read_bytes())


@given(st.sampled_from(OFFERS), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_mutated_offers(path: Path, rng: random.Random) -> None:
    survive(mutate(path.read_bytes(), rng))


@given(st.text(max_size=2_000))
@settings(max_examples=200, deadline=None)
def test_arbitrary_text(text: str) -> None:
    survive(text.encode("utf-8", "surrogatepass"))
