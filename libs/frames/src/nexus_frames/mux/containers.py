"""The containers, which codecs they hold, and the options with which FFmpeg writes them."""

from enum import Enum
from fractions import Fraction

from nexus_frames.formats import SAMPLE_RATE, Codec
from nexus_frames.mux.errors import UnsupportedContainer

VIDEO_TIME_BASE = Fraction(1, 90_000)
"""Resolution of video timestamps in MP4, the clock of RTP. WebM rounds to 1 ms."""
AUDIO_TIME_BASE = Fraction(1, SAMPLE_RATE)


class Container(Enum):
    MP4 = "mp4"
    WEBM = "webm"
    OGG = "ogg"

    @property
    def extension(self) -> str:
        return self.value


_CODECS = {
    Container.MP4: {Codec.OPUS, Codec.VP9, Codec.H264, Codec.AV1},
    Container.WEBM: {Codec.OPUS, Codec.VP8, Codec.VP9, Codec.AV1},
    Container.OGG: {Codec.OPUS},
}


def container_for(codec: Codec, *, prefer_webm: bool = False) -> Container:
    """The container of a recording: WebM for VP8, MP4 for the others, unless WebM is preferred and
    possible."""
    if codec is Codec.VP8 or (prefer_webm and codec in _CODECS[Container.WEBM]):
        return Container.WEBM
    return Container.MP4


def video_step(container: Container) -> int:
    """Smallest difference of two video timestamps, in units of `VIDEO_TIME_BASE`, with which they stay
    different in the container."""
    return VIDEO_TIME_BASE.denominator // 1_000 if container is Container.WEBM else 1


def require(container: Container, codec: Codec) -> None:
    """Raises UnsupportedContainer."""
    if codec not in _CODECS[container]:
        raise UnsupportedContainer(container.value, codec.name)


def fragmented(container: Container, fragment_us: int) -> dict[str, str]:
    """FFmpeg's options for a file that can be played up to each fragment: `moof` and `mdat`, or a cluster."""
    common = {
        "flush_packets": "1",
        # Packets come in order of time, so FFmpeg need not wait for the other stream.
        "max_interleave_delta": "1",
        "avoid_negative_ts": "disabled",
    }
    if container is Container.MP4:
        # cmaf: the constraints of ISO/IEC 23000-19. delay_moov: the sample entry is written when the first
        # packet is known. frag_discont: the first fragment has its real decode time, not 0. skip_trailer:
        # no index at the end.
        flags = "empty_moov+default_base_moof+cmaf+delay_moov+frag_discont+skip_trailer"
        return common | {"movflags": flags, "frag_duration": str(fragment_us)}
    if container is Container.WEBM:
        # A cluster is as long as its longest block allows; its size is known when it is written.
        return common | {
            "live": "1",
            "cluster_time_limit": str(fragment_us // 1_000),
            "cluster_size_limit": str(64 << 20),
        }
    return common | {"page_duration": str(fragment_us)}


def seekable(container: Container) -> dict[str, str]:
    """FFmpeg's options for a finished file: the index is in front, so that a player can seek without the
    end."""
    # bitexact: the same segments make the same file again, because nothing in it is random.
    common = {"max_interleave_delta": "1", "avoid_negative_ts": "disabled", "fflags": "+bitexact"}
    if container is Container.MP4:
        # The start of a stream that begins later is an edit list, in units of the movie's timescale.
        return common | {"movflags": "faststart", "movie_timescale": str(VIDEO_TIME_BASE.denominator)}
    if container is Container.WEBM:
        return common | {"cues_to_front": "1"}
    return common
