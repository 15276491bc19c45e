"""A camera and a microphone without a device: a moving colour and a tone, which identify their publisher.

With `flash`, once a second the video turns white for a tenth of a second while the tone, silent otherwise,
beeps: both on one clock, so that a receiver can measure how far apart they arrive.
"""

import asyncio
import fractions
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

VIDEO_CLOCK: Final = 90_000
SAMPLE_RATE: Final = 48_000
SAMPLES_PER_FRAME: Final = 960  # 20 ms
FLASH_PERIOD_SECONDS: Final = 1.0
FLASH_SECONDS: Final = 0.1
LOUDNESS: Final = 0.25  # -12 dBov: loud, far from clipping

Colour = tuple[int, int, int]


@dataclass(slots=True)
class Pace:
    """Schedules frames. A source that falls behind skips frames, as a camera does."""

    period_seconds: float
    clock: Callable[[], float] = time.monotonic
    started_at: float | None = None
    count: int = 0

    def next(self) -> tuple[int, float]:
        """Returns the number of the next frame and the time to wait for it."""
        now = self.clock()
        if self.started_at is None:
            self.started_at = now
            return 0, 0.0
        late = int((now - self.started_at) / self.period_seconds)
        self.count = max(self.count + 1, late)
        return self.count, max(0.0, self.started_at + self.count * self.period_seconds - now)


def flashing_at(seconds: float) -> bool:
    return seconds % FLASH_PERIOD_SECONDS < FLASH_SECONDS


def paint(colour: Colour, width: int, height: int, number: int, white: bool) -> np.ndarray:
    """Draws frame `number` as RGB: the colour, with a bar that moves through the lowest quarter."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = (255, 255, 255) if white else colour
    bar = width // 8
    left = (number * 8) % (width - bar)
    image[height * 3 // 4 :, left : left + bar] = (16, 16, 16)
    return image


def tone(frequency_hz: float, first_sample: int, count: int = SAMPLES_PER_FRAME) -> np.ndarray:
    """Returns `count` samples of a sine as int16, in phase with the previous samples."""
    at = (np.arange(first_sample, first_sample + count) / SAMPLE_RATE) * (2 * np.pi * frequency_hz)
    samples: np.ndarray = (np.sin(at) * LOUDNESS * 32767).astype(np.int16)
    return samples


class SyntheticCamera(MediaStreamTrack):
    """A camera that shows `colour` (RGB)."""

    kind = "video"

    def __init__(
        self, colour: Colour, *, width: int = 640, height: int = 360, fps: int = 15, flash: bool = False
    ) -> None:
        super().__init__()
        self.colour, self.width, self.height, self.fps = colour, width, height, fps
        self._flash = flash
        self._pace = Pace(1 / fps)

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        number, wait = self._pace.next()
        await asyncio.sleep(wait)
        white = self._flash and flashing_at(number / self.fps)
        image = paint(self.colour, self.width, self.height, number, white)
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number * VIDEO_CLOCK // self.fps
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK)
        return frame


@dataclass(slots=True)
class Heard:
    """Received audio: the last second of one channel."""

    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float64))

    def add(self, frame: AudioFrame) -> None:
        block = frame.to_ndarray().astype(np.float64)
        channels = len(frame.layout.channels)
        mono = block.reshape(-1, channels)[:, 0] if block.shape[0] == 1 else block[0]
        self.samples = np.concatenate((self.samples, mono))[-SAMPLE_RATE:]

    def pitch_hz(self) -> float | None:
        """The strongest frequency; None for silence or less than a fifth of a second."""
        if len(self.samples) < SAMPLE_RATE // 5 or np.abs(self.samples).max() < 100:
            return None
        spectrum = np.abs(np.fft.rfft(self.samples * np.hanning(len(self.samples))))
        return float(np.argmax(spectrum) * SAMPLE_RATE / len(self.samples))


def colour_of(frame: VideoFrame) -> Colour:
    """The mean colour of the upper half, where nothing moves."""
    image = frame.to_ndarray(format="rgb24")
    upper = image[: image.shape[0] // 2]
    red, green, blue = (int(value) for value in upper.mean(axis=(0, 1)))
    return red, green, blue


class SyntheticMicrophone(MediaStreamTrack):
    """A microphone with a sine of `frequency_hz`; with `flash`, with beeps of it."""

    kind = "audio"

    def __init__(self, frequency_hz: float = 440.0, *, flash: bool = False) -> None:
        super().__init__()
        self.frequency_hz = frequency_hz
        self._flash = flash
        self._pace = Pace(SAMPLES_PER_FRAME / SAMPLE_RATE)

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        number, wait = self._pace.next()
        await asyncio.sleep(wait)
        first = number * SAMPLES_PER_FRAME
        samples = tone(self.frequency_hz, first)
        if self._flash and not flashing_at(first / SAMPLE_RATE):
            samples[:] = 0
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = first
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        return frame


def synthetic_pair(colour: Colour, frequency_hz: float) -> tuple[SyntheticCamera, SyntheticMicrophone]:
    """Returns a camera and a microphone that flash and beep together."""
    camera = SyntheticCamera(colour, flash=True)
    microphone = SyntheticMicrophone(frequency_hz, flash=True)
    camera._pace.started_at = microphone._pace.started_at = time.monotonic()
    return camera, microphone
