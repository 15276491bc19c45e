"""The participants of a scene, and the packets that they should receive together."""

from _load import Participant
from _scenes import SCENES, Scene, expected_packets, participants_of


def test_a_livestream_has_one_publisher_and_its_viewers() -> None:
    participants = participants_of(Scene("s", "livestream", 5))
    assert [participant.publishes for participant in participants] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    assert not participants[0].watches
    assert [participant.index for participant in participants] == list(range(6))


def test_a_speaker_in_an_audio_room_receives_only_the_others() -> None:
    participants = participants_of(Scene("s", "audio", 12))
    assert [participant.audio_slots for participant in participants] == [9] * 10 + [10] * 2


def test_some_viewers_are_on_a_poor_network_but_never_the_publisher() -> None:
    participants = participants_of(SCENES["poor"])
    assert [participant.loss_percent for participant in participants].count(3) == len(participants) // 5
    assert participants[0].loss_percent == 0


def test_expected_packets_are_the_others_audio_and_highest_encodings() -> None:
    participants = participants_of(Scene("s", "meeting", 3))
    sent = {}
    for participant in participants:
        sent[participant.audio_ssrc] = 10
        for encoding, packets in enumerate((1, 2, 100)):
            sent[participant.video_ssrc(encoding)[0]] = packets
    assert expected_packets(participants, sent) == 3 * 2 * (10 + 100)


def test_expected_packets_are_limited_by_the_slots() -> None:
    speakers = [Participant(i, audio=True) for i in range(4)]
    listener = Participant(4, audio_slots=3)
    assert expected_packets([*speakers, listener], {s.audio_ssrc: 5 for s in speakers}) == 15


def test_a_single_encoding_is_the_highest() -> None:
    participants = participants_of(Scene("s", "livestream", 2, simulcast=False))
    sent = {participants[0].audio_ssrc: 1, participants[0].video_ssrc(0)[0]: 20}
    assert expected_packets(participants, sent) == 2 * 21
