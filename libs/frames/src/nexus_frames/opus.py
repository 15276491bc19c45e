"""Durations of Opus packets (RFC 6716 section 3)."""

from nexus_frames.formats import SAMPLE_RATE

MAX_PACKET_SAMPLES = SAMPLE_RATE * 120 // 1000
"""A packet holds at most 120 ms (section 3.2.5, rule R5)."""


def _frame_samples(config: int) -> int:
    """Samples at 48 kHz of one frame, by the table of section 3.1."""
    if config < 12:  # SILK: 10, 20, 40, 60 ms
        return (480, 960, 1_920, 2_880)[config & 3]
    if config < 16:  # hybrid: 10, 20 ms
        return (480, 960)[config & 1]
    return (120, 240, 480, 960)[config & 3]  # CELT: 2.5, 5, 10, 20 ms


_FRAME_SAMPLES = tuple(_frame_samples(toc >> 3) for toc in range(256))


def packet_samples(packet: bytes) -> int | None:
    """The number of samples at 48 kHz that the packet decodes to; None: it is no Opus packet."""
    if not packet:
        return None
    toc = packet[0]
    samples = _FRAME_SAMPLES[toc]
    code = toc & 3
    if code == 0:
        return samples
    if code < 3:
        return 2 * samples
    if len(packet) < 2:
        return None
    samples *= packet[1] & 0x3F
    return samples if 0 < samples <= MAX_PACKET_SAMPLES else None
