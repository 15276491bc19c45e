"""Rules that start recordings, in virtual time."""

from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import subjects
from nexus_testkit import wait_until

from services.recorder.tests.harness import PATIENCE, Deployment, Replica, in_virtual_time, refusal


async def begin_room(replica: Replica, deployment: Deployment, room: str, room_id: str, at_ms: int) -> None:
    """Writes the record of a room, as signaling does when it places one."""
    record = state_pb2.RoomRecord(app=deployment.app, node_id="sfu-1")
    record.room.id, record.room.name, record.room.created_at_ms = room_id, room, at_ms
    bucket = await replica.runtime.bus.kv(subjects.ROOMS)
    await bucket.put(subjects.room_key(deployment.app, room), record.SerializeToString())


def a_rule(deployment: Deployment, **changes: object) -> recording_pb2.RecordingRule:
    rule = recording_pb2.RecordingRule(app=deployment.app, name="meetings", room_pattern="meet-*")
    rule.spec.participants = True
    for name, value in changes.items():
        setattr(rule, name, value)
    return rule


async def recordings_of(replica: Replica, deployment: Deployment) -> list[recording_pb2.Recording]:
    request = recorder_pb2.ListRecordingsRequest(app=deployment.app)
    return list((await replica.control.recordings.list(request)).recordings)


@in_virtual_time
async def test_a_rule_starts_one_recording_for_each_life_of_a_room(memory: Deployment) -> None:
    replicas = [await memory.replica(takes=False) for _ in range(3)]
    await replicas[0].control.rules.put(a_rule(memory))
    now_ms = memory.clock.epoch_ms()
    await begin_room(replicas[0], memory, "meet-1", "RM_1", now_ms)
    await begin_room(replicas[0], memory, "lunch", "RM_2", now_ms)
    await wait_until(lambda: all(r.value("rule_starts_total", result="OK") == 1 for r in replicas), PATIENCE)
    (recording,) = await recordings_of(replicas[1], memory)
    assert (recording.room, recording.started_by, recording.spec.participants) == ("meet-1", "meetings", True)
    await begin_room(replicas[0], memory, "meet-1", "RM_3", now_ms)
    await wait_until(lambda: all(r.value("rule_starts_total", result="OK") == 2 for r in replicas), PATIENCE)
    assert len(await recordings_of(replicas[1], memory)) == 2


@in_virtual_time
async def test_a_room_that_began_while_no_recorder_ran_is_recorded(memory: Deployment) -> None:
    first = await memory.replica(takes=False)
    await first.control.rules.put(a_rule(memory))
    await first.die()
    await begin_room(first, memory, "meet-1", "RM_1", memory.clock.epoch_ms())
    second = await memory.replica(takes=False)
    await wait_until(lambda: second.value("rule_starts_total", result="OK") == 1, PATIENCE)
    assert len(await recordings_of(second, memory)) == 1


@in_virtual_time
async def test_rules_that_do_not_apply_start_nothing(memory: Deployment) -> None:
    replica = await memory.replica(takes=False)
    rules = replica.control.rules
    await begin_room(replica, memory, "meet-old", "RM_1", memory.clock.epoch_ms() - 60_000)
    await rules.put(a_rule(memory))
    await rules.put(a_rule(memory, name="off", room_pattern="*", disabled=True))
    await rules.put(a_rule(memory, name="marker", room_pattern="marker"))
    await begin_room(replica, memory, "lunch", "RM_2", memory.clock.epoch_ms())
    await begin_room(replica, memory, "marker", "RM_3", memory.clock.epoch_ms())
    await wait_until(lambda: replica.value("rule_starts_total", result="OK") == 1, PATIENCE)
    assert [one.room for one in await recordings_of(replica, memory)] == ["marker"]


@in_virtual_time
async def test_rules_are_written_listed_and_deleted(memory: Deployment) -> None:
    rules = (await memory.replica(takes=False)).control.rules
    written = await rules.put(a_rule(memory))
    assert written.spec.segment_ms == 6_000
    await rules.put(a_rule(memory, name="another"))
    assert [rule.name for rule in await rules.list(memory.app)] == ["another", "meetings"]
    await rules.delete(memory.app, "meetings")
    await rules.delete(memory.app, "meetings")
    assert [rule.name for rule in await rules.list(memory.app)] == ["another"]
    assert await rules.list("other") == []


@in_virtual_time
async def test_bad_rules_are_refused(memory: Deployment) -> None:
    rules = (await memory.replica(takes=False)).control.rules
    for name, field in (("name", "rule.name"), ("room_pattern", "rule.room_pattern"), ("app", "rule.app")):
        bad = await refusal(rules.put(a_rule(memory, **{name: ""})))
        assert bad == ("INVALID_ARGUMENT", {"field": field})
    rule = a_rule(memory)
    rule.spec.store = "elsewhere"
    assert (await refusal(rules.put(rule)))[0] == "STORE_NOT_FOUND"
    for number in range(100):
        await rules.put(a_rule(memory, name=f"{number}"))
    full = await refusal(rules.put(a_rule(memory, name="one more")))
    assert full == ("INVALID_ARGUMENT", {"field": "rule.name"})
    await rules.put(a_rule(memory, name="7", disabled=True))
