"""The synthetic camera and microphone: colour, movement, pitch, pace."""

import numpy as np
import pytest
from nexus_rtc.synthetic import (
    SAMPLE_RATE,
    Heard,
    Pace,
    SyntheticCamera,
    SyntheticMicrophone,
    colour_of,
    flashing_at,
    paint,
    synthetic_pair,
    tone,
)
from nexus_testkit import ManualClock


def test_a_source_that_falls_behind_skips_frames() -> None:
    clock = ManualClock()
    pace = Pace(0.1, clock)
    assert pace.next() == (0, 0.0)
    number, wait = pace.next()
    assert (number, round(wait, 6)) == (1, 0.1)
    clock.advance(0.55)
    number, wait = pace.next()
    assert (number, wait) == (5, 0.0)
    number, wait = pace.next()
    assert (number, round(wait, 6)) == (6, 0.05)


def test_the_image_moves() -> None:
    first, second = (paint((200, 0, 0), 64, 64, number, False) for number in (0, 1))
    assert (first[:48] == second[:48]).all()
    assert not (first[48:] == second[48:]).all()


def test_a_tone_continues_in_phase() -> None:
    whole = tone(440, 0, 1920)
    assert (np.concatenate((tone(440, 0), tone(440, 960))) == whole).all()


@pytest.mark.parametrize("frequency", [300.0, 440.0, 1000.0])
async def test_a_played_tone_is_measured(frequency: float) -> None:
    microphone, heard = SyntheticMicrophone(frequency), Heard()
    assert heard.pitch_hz() is None
    for _ in range(15):
        heard.add(await microphone.recv())
    pitch = heard.pitch_hz()
    assert pitch == pytest.approx(frequency, abs=2 * SAMPLE_RATE / len(heard.samples))


async def test_a_shown_colour_is_measured() -> None:
    frame = await SyntheticCamera((200, 30, 90)).recv()
    assert (frame.width, frame.height) == (640, 360)
    assert colour_of(frame) == pytest.approx((200, 30, 90), abs=3)


async def test_flash_and_beep_are_on_one_clock() -> None:
    camera, microphone = synthetic_pair((0, 0, 255), 1000)
    picture, sound = await camera.recv(), await microphone.recv()
    assert picture.time is not None
    assert sound.time is not None
    assert (min(colour_of(picture)) > 200) == flashing_at(picture.time)
    assert bool(np.abs(sound.to_ndarray()).max() > 0) == flashing_at(sound.time)
