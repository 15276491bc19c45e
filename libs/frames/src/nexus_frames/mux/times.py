"""Conversions between microseconds and the units of containers, rounded to the nearest."""

from nexus_frames.formats import SAMPLE_RATE


def ticks_of(time_us: int) -> int:
    """Units of 1/90,000 s, the timescale of video in MP4."""
    return (time_us * 9 + 50) // 100


def microseconds_of_ticks(ticks: int) -> int:
    return ticks * 100 // 9


def samples_of(time_us: int) -> int:
    """Samples at 48 kHz."""
    return (time_us * 6 + 62) // 125


def microseconds_of_samples(samples: int) -> int:
    return samples * 1_000_000 // SAMPLE_RATE
