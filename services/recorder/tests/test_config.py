from nexus_recorder.config import RecorderConfig


def test_a_replica_names_itself() -> None:
    assert RecorderConfig.from_env().replica_id.startswith("rec-")
    assert RecorderConfig.from_env(replica_id="one").log_fields() == {"replica": "one"}
