"""The check of native/ finds includes against the layering, and cycles."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import native_layers
from stages import ROOT

FEATURES = """
nexus_feature(base FOLDER engine/base)
nexus_feature(room FOLDER engine/room DEPS nexus_base OpenSSL::Crypto TEST_DEPS nexus_shard)
nexus_feature(shard FOLDER engine/shard
              DEPS nexus_room)
"""


def write(native: Path, cmake: str = FEATURES, **includes: str) -> None:
    native.mkdir(exist_ok=True)
    (native / "CMakeLists.txt").write_text(cmake)
    for name, included in includes.items():
        path = native / "engine" / name / f"{name}.h"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#pragma once\n#include "{included}"\n')


def test_the_repository_has_no_faults() -> None:
    assert native_layers.find_faults(ROOT / "native") == []


def test_includes_downwards_and_inside_a_feature_are_allowed(tmp_path: Path) -> None:
    write(tmp_path, room="engine/base/ids.h", shard="engine/base/ids.h", base="engine/base/time.h")
    assert native_layers.find_faults(tmp_path) == []


def test_an_include_upwards_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, room="engine/shard/shard.h")
    assert native_layers.find_faults(tmp_path) == ["engine/room/room.h: room may not include shard"]


def test_a_folder_below_a_feature_belongs_to_it(tmp_path: Path) -> None:
    write(tmp_path, base="engine/room/parts/audio.h")
    assert native_layers.find_faults(tmp_path) == ["engine/base/base.h: base may not include room"]


def test_tests_may_include_anything(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "engine" / "room").mkdir(parents=True)
    (tmp_path / "engine" / "room" / "room_test.cc").write_text('#include "engine/shard/shard.h"\n')
    assert native_layers.find_faults(tmp_path) == []


def test_a_cycle_of_features_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, FEATURES.replace("engine/base)", "engine/base DEPS nexus_shard)"))
    (fault,) = native_layers.find_faults(tmp_path)
    assert "cycle" in fault
