"""The C++ module has the surface of its stub, and refuses what is no video codec."""

import ast
from pathlib import Path

import nexus_frames
import pytest
from nexus_frames import Codec, _depacketizer

STUB = ast.parse((Path(nexus_frames.__file__).parent / "_depacketizer.pyi").read_text())


def test_the_module_defines_exactly_what_the_stub_does() -> None:
    public = {name for name in vars(_depacketizer) if not name.startswith("_")}
    named = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert public == set(named)
    described = named["FrameDescription"]
    members = {item.name for item in described.body if isinstance(item, ast.FunctionDef)}
    assert {m for m in vars(_depacketizer.FrameDescription) if not m.startswith("_")} == members


@pytest.mark.parametrize("codec", [0, 6, -1, Codec.OPUS])
def test_only_video_is_depacketised(codec: int) -> None:
    with pytest.raises(ValueError, match="video codec"):
        _depacketizer.depacketize(codec, [b"x"])
    with pytest.raises(ValueError, match="video codec"):
        _depacketizer.describe(codec, b"x")


def test_payloads_are_bytes() -> None:
    with pytest.raises(Exception, match=r"bad_cast|incompatible|cast"):
        _depacketizer.depacketize(Codec.VP8, ["x"])  # type: ignore[list-item]
    assert _depacketizer.depacketize(Codec.VP8, []) == b""
    assert _depacketizer.depacketize(Codec.VP8, [b""]) is None
