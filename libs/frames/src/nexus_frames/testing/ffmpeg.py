"""Decodes a file with the `ffmpeg` program, an FFmpeg of another version than the one that wrote it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Decoded:
    """All that `ffmpeg` decodes: times in seconds, `errors` as it writes them."""

    video_times: tuple[float, ...]
    audio_samples: int
    """Per channel, at 48 kHz, without regard to timestamps."""
    audio_start: float | None
    errors: str


def decode(path: Path, timeout_seconds: float = 600) -> Decoded:
    """Decodes every stream completely."""
    arguments = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-noautorotate", "-i", str(path)]
    arguments += [
        "-map",
        "0",
        "-vsync",
        "passthrough",
        "-enc_time_base:v",
        "-1",
        "-ar",
        "48000",
        "-ac",
        "1",
        "-copyts",
    ]
    arguments += ["-f", "framecrc", "-"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    kinds: dict[int, str] = {}
    bases: dict[int, float] = {}
    video_times: list[float] = []
    samples = 0
    audio_start = None
    for line in done.stdout.splitlines():
        if line.startswith("#tb "):
            number, base = line[4:].split(": ")
            numerator, denominator = base.split("/")
            bases[int(number)] = int(numerator) / int(denominator)
        elif line.startswith("#media_type "):
            number, kind = line[12:].split(": ")
            kinds[int(number)] = kind
        elif not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            stream, pts, size = int(fields[0]), int(fields[2]), int(fields[4])
            time = pts * bases[stream]
            if kinds[stream] == "video":
                video_times.append(time)
            else:
                samples += size // 2
                audio_start = time if audio_start is None else audio_start
    return Decoded(tuple(video_times), samples, audio_start, done.stderr)
