"""Measures recorded files: `inspect_files.py FILE…` prints one JSON object for each.

`ffprobe` lists the streams and packets, and `ffmpeg` decodes everything; both must have nothing to say. Then
the pictures and the sound are decoded once more for what `synthetic_media.mjs` put into them: a flash and a
beep at the same time.
"""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy
from av.audio.resampler import AudioResampler

RATE = 48_000
# Samples in which a tone is looked for: 2.5 ms.
BLOCK = 120
BEEP_HZ = 3_000
# Amplitude of the beep from which it is heard, of 1. It is sent with 0.6, beside a tone of 0.2.
LOUD = 0.2
# Brightness from which a picture is a flash, of 255. No colour of the cast is as bright.
WHITE = 200


def decode_errors(path: Path) -> str:
    """The errors that `ffmpeg` reports when it decodes everything; empty: none, and it ended with 0."""
    # passthrough: by default frames are put on a grid of constant rate, and the muxer complains about it.
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", "0", "-vsync", "passthrough"]
    command += ["-enc_time_base:v", "-1", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def probe(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_format", "-of", "json"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    if done.stderr:
        raise RuntimeError(f"ffprobe: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def packet_times(found: dict[str, Any], index: int) -> list[float]:
    return [float(each["pts_time"]) for each in found["packets"] if each["stream_index"] == index]


def watch(path: Path) -> dict[str, Any]:
    """The decoded pictures: their number, their sizes in order, and for each flash the times of the last
    picture before it and of its first one."""
    sizes: list[dict[str, Any]] = []
    flashes: list[tuple[float, float]] = []
    pictures, bright, before = 0, True, 0.0
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            pictures += 1
            at = float(picture.time or 0)
            size = {"width": picture.width, "height": picture.height}
            if not sizes or {**sizes[-1], "at": None} != {**size, "at": None}:
                sizes.append({**size, "at": at})
            plane = picture.planes[0]
            luma = numpy.frombuffer(bytes(plane), numpy.uint8).reshape(-1, plane.line_size)
            # The moving mark is at the bottom.
            white = float(luma[: picture.height // 2, : picture.width].mean()) > WHITE
            if white and not bright:
                flashes.append((before, at))
            bright, before = white, at
    return {"pictures": pictures, "sizes": sizes, "flashes": flashes}


def listen(path: Path) -> dict[str, Any]:
    """The decoded sound: its start and length in seconds, and the times at which beeps start."""
    resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
    parts: list[Any] = []
    start: float | None = None
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            start = float(frame.time or 0) if start is None else start
            parts += [each.to_ndarray()[0] for each in resampler.resample(frame)]
    samples = numpy.concatenate(parts) if parts else numpy.zeros(0, numpy.float32)
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
    wave = numpy.exp(-2j * numpy.pi * BEEP_HZ * numpy.arange(BLOCK) / RATE) * 2 / BLOCK
    loud = numpy.abs(blocks @ wave) > LOUD
    onsets = numpy.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    beeps = [(start or 0) + int(block) * BLOCK / RATE for block in onsets]
    return {"start": start, "seconds": len(samples) / RATE, "beeps": beeps}


def inspect(path: Path) -> dict[str, Any]:
    probed = probe(path)
    found: dict[str, Any] = {
        "errors": decode_errors(path),
        "seconds": float(probed["format"]["duration"]),
        "video": None,
        "audio": None,
    }
    for stream in probed["streams"]:
        kind = stream["codec_type"]
        times = packet_times(probed, stream["index"])
        one = {
            "codec": stream["codec_name"],
            "packets": len(times),
            "first": times[0],
            "last": times[-1],
            "longest_step": max((after - at for at, after in pairwise(times)), default=0),
            "in_order": all(at < after for at, after in pairwise(times)),
        }
        if kind == "video":
            square = stream.get("sample_aspect_ratio", "1:1") == "1:1"
            one |= {
                "square_pixels": square,
                "width": stream["width"],
                "height": stream["height"],
                **watch(path),
            }
        else:
            one |= listen(path)
        found[kind] = one
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(inspect(Path(name))), flush=True)
