"""The TLS files are read at start, and faults in them are reported with the variable's name."""

from pathlib import Path

from nexus_rpc import RpcConfig, RpcTls

PEM = b"-----BEGIN CERTIFICATE-----\n"


def test_without_files_there_is_no_tls() -> None:
    tls = RpcConfig.from_env().rpc_tls()
    assert tls == RpcTls()
    assert (tls.server_credentials(), tls.channel_credentials()) == (None, None)


def test_files_are_read(tmp_path: Path) -> None:
    for name in ("certificate", "key", "authority"):
        (tmp_path / name).write_bytes(PEM + name.encode())
    config = RpcConfig.from_env(
        rpc_tls_certificate=tmp_path / "certificate",
        rpc_tls_key=tmp_path / "key",
        rpc_tls_authority=tmp_path / "authority",
    )
    assert config.rpc_tls() == RpcTls(PEM + b"certificate", PEM + b"key", PEM + b"authority")


def test_each_problem_names_its_variable(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    config = RpcConfig.from_env(rpc_tls_key=tmp_path / "text", rpc_tls_authority=tmp_path / "missing")
    both, key, authority = config.problems()
    assert "both or neither" in both
    assert key == f"NEXUS_RPC_TLS_KEY: {tmp_path / 'text'} contains no PEM text"
    assert authority.startswith("NEXUS_RPC_TLS_AUTHORITY: No such file")
