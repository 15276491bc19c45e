"""`nexus record` against a server that answers as signaling does."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from nexus.recorder.v1 import recorder_pb2
from nexus_cli import development
from nexus_cli.downloads import files_of
from nexus_cli.main import app
from nexus_cli.recording_views import duration_of, size_of, time_of
from typer.testing import CliRunner

runner = CliRunner()
CONTENT = b"media" * 1000
RECORDING = {
    "id": "RC_1",
    "app": "devkey",
    "room": "lesson [7]",
    "state": "RECORDING_STATE_COMPLETED",
    "startedAtMs": "1764547200000",
    "endedAtMs": "1764550861000",
    "startedBy": "ann",
    "storedBytes": "1234567",
    "files": [
        {
            "key": "devkey/lesson/ann-camera.mp4",
            "identity": "ann",
            "bytes": str(len(CONTENT)),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "offsetMs": "500",
            "durationMs": "3660000",
        }
    ],
    "aFieldOfANewerServer": 1,
}


class Server:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, list[str]], Any]] = []
        self.tokens: list[str] = []
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append(
                    (self.command, parts.path, parse_qs(parts.query), json.loads(body) if body else None)
                )
                outer.tokens.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
                status, answer = outer.answers.get((self.command, parts.path), (404, {"code": 48}))
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = do_PATCH = _answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def nexus(server: Server, *arguments: str, text: str | None = None) -> Any:
    return runner.invoke(app, ["record", *arguments, "--url", server.url], input=text)


def test_start_sends_what_to_record_with_an_admins_token(server: Server) -> None:
    server.answers[("POST", "/v1/recordings")] = (200, {"recording": RECORDING})
    done = nexus(
        server,
        *("start", "--room", "lesson", "--participants", "--identity", "teacher-*", "--safe-in-store"),
        *("--max-duration", "90m", "--keep-for", "30d", "--request-id", "once"),
    )
    assert (done.exit_code, done.output) == (0, "RC_1\n")
    assert server.requests[0][3] == {
        "room": "lesson",
        "requestId": "once",
        "spec": {
            "participants": True,
            "selection": {"include": [{"identity": "teacher-*"}]},
            "durability": "DURABILITY_STORE",
            "limits": {"maxDurationSeconds": "5400"},
            "retentionSeconds": "2592000",
        },
    }
    claims = jwt.decode(server.tokens[0], development.SECRET, algorithms=["HS256"])
    assert claims["grants"] == {"admin": True}


@pytest.mark.parametrize("verb", ["stop", "pause", "resume"])
def test_verbs_report_the_state(server: Server, verb: str) -> None:
    server.answers[("POST", f"/v1/recordings/RC_1/{verb}")] = (
        200,
        {"recording": {"id": "RC_1", "state": "RECORDING_STATE_RUNNING", "degraded": {"sinceMs": "1"}}},
    )
    done = nexus(server, verb, "RC_1")
    assert (done.exit_code, done.output) == (0, "RC_1 running (degraded)\n")


def test_lists_and_details_show_names_as_they_are(server: Server) -> None:
    server.answers[("GET", "/v1/recordings")] = (200, {"recordings": [RECORDING]})
    server.answers[("GET", "/v1/recordings/RC_1")] = (200, {"recording": RECORDING})
    listed = nexus(server, "list", "--room", "lesson [7]")
    assert listed.exit_code == 0
    assert "[7]" in listed.output
    assert "1:01:01" in listed.output
    assert server.requests[0][2] == {"room": ["lesson [7]"], "page_size": ["50"]}
    shown = nexus(server, "show", "RC_1")
    assert "ann" in shown.output
    assert "1.2 MB" in shown.output
    assert json.loads(nexus(server, "show", "RC_1", "--json").output)["id"] == "RC_1"
    server.answers[("GET", "/v1/recordings")] = (200, {})
    assert nexus(server, "list").output == "no recordings\n"


def test_get_downloads_whole_files_only(server: Server, tmp_path: Path) -> None:
    server.answers[("GET", "/v1/recordings/RC_1/playback")] = (
        200,
        {"links": [{"file": RECORDING["files"][0], "url": f"{server.url}/file"}]},  # type: ignore[index]
    )
    server.answers[("GET", "/file")] = (200, CONTENT)
    assert nexus(server, "get", "RC_1", "--folder", str(tmp_path / "new")).exit_code == 0
    assert (tmp_path / "new" / "ann-camera.mp4").read_bytes() == CONTENT
    server.answers[("GET", "/file")] = (200, CONTENT[:-1])
    refused = nexus(server, "get", "RC_1", "--folder", str(tmp_path))
    assert refused.exit_code == 1
    assert "DOWNLOAD_FAILED" in refused.output
    assert not (tmp_path / "ann-camera.mp4").exists()
    server.answers[("GET", "/file")] = (403, b"")
    assert "403" in nexus(server, "get", "RC_1", "--folder", str(tmp_path)).output


def test_rm_asks_first(server: Server) -> None:
    server.answers[("DELETE", "/v1/recordings/RC_1")] = (
        200,
        {"recording": {"id": "RC_1", "state": "RECORDING_STATE_DELETED"}},
    )
    assert nexus(server, "rm", "RC_1", text="n\n").exit_code == 1
    assert server.requests == []
    assert "deleted" in nexus(server, "rm", "RC_1", text="y\n").output
    assert nexus(server, "rm", "RC_1", "--yes").exit_code == 0


def test_refusals_are_one_line(server: Server) -> None:
    server.answers[("POST", "/v1/recordings/RC_9/stop")] = (
        404,
        {"code": "RECORDING_NOT_FOUND", "message": "There is no such recording."},
    )
    refused = nexus(server, "stop", "RC_9")
    assert (refused.exit_code, refused.output) == (1, "RECORDING_NOT_FOUND: There is no such recording.\n")
    assert nexus(server, "start", "--room", "a", "--max-duration", "soon").exit_code == 2


def test_two_files_never_share_a_name() -> None:
    playback = recorder_pb2.GetPlaybackResponse(manifest_url="u")
    for key in ("a/x.mp4", "b/x.mp4", "c/manifest.json"):
        playback.links.add(url="u").file.key = key
    assert [file.name for file in files_of(playback)] == [
        "x.mp4",
        "x-2.mp4",
        "manifest.json",
        "manifest-2.json",
    ]


def test_texts_for_readers() -> None:
    assert time_of(0) == ""
    assert time_of(1_764_547_200_000) == "2025-12-01 00:00:00"
    assert duration_of(1, 0) == ""
    assert [size_of(n) for n in (0, 999, 1_500, 2_000_000_000_000)] == ["", "999 bytes", "1.5 kB", "2.0 TB"]
