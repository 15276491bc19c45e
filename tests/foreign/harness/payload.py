"""Checksums and keyframes of RTP payloads, for comparison between sender and receiver.

Every client implements the same few functions in its own language.
"""

import zlib
from typing import Final

H264_IDR: Final = 5
H264_STAP_A: Final = 24
H264_FU_A: Final = 28


def checksum(codec: str, payload: bytes) -> int:
    """CRC-32 of the coded bytes, without a VP8 descriptor, which an SFU may rewrite."""
    return zlib.crc32(after_vp8_descriptor(payload) if codec == "vp8" else payload)


def begins_keyframe(codec: str, payload: bytes) -> bool:
    """Whether a keyframe begins in the payload; for H.264, whether it belongs to an IDR picture."""
    if codec == "vp8":
        body = after_vp8_descriptor(payload)
        return bool(body) and payload[0] & 0x17 == 0x10 and body[0] & 1 == 0
    return codec == "h264" and _has_idr(payload)


def after_vp8_descriptor(payload: bytes) -> bytes:
    """RFC 7741 section 4.2."""
    if len(payload) < 3 or not payload[0] & 0x80:
        return payload[1:]
    extensions, size = payload[1], 2
    if extensions & 0x80:
        size += 2 if payload[2] & 0x80 else 1
    size += bool(extensions & 0x40) + bool(extensions & 0x30)
    return payload[size:]


def _has_idr(payload: bytes) -> bool:
    """RFC 6184 sections 5.6 to 5.8: a single NAL unit, STAP-A or FU-A."""
    if len(payload) < 2:
        return False
    kind = payload[0] & 0x1F
    if kind == H264_FU_A:
        return payload[1] & 0x1F == H264_IDR
    if kind != H264_STAP_A:
        return kind == H264_IDR
    at = 1
    while at + 2 < len(payload):
        if payload[at + 2] & 0x1F == H264_IDR:
            return True
        at += 2 + int.from_bytes(payload[at : at + 2])
    return False
