"""Records the offers beside this file from the browsers of this machine: `python record.py chromium
firefox`."""

import json
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FOLDER = Path(__file__).parent
COMMANDS = {
    "chromium": ["chromium", "--headless", "--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
    "firefox": ["firefox-esr", "--headless", "--no-remote"],
}
TIMEOUT_SECONDS = 60


def record(browser: str) -> dict[str, str]:
    offers: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((FOLDER / "offers.html").read_bytes() if self.path == "/" else b"")

        def do_POST(self) -> None:
            offers.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        flag = [f"--user-data-dir={profile}"] if browser == "chromium" else ["--profile", profile]
        process = subprocess.Popen([*COMMANDS[browser], *flag, f"http://127.0.0.1:{server.server_port}/"])
        done = threading.Event()
        for _ in range(TIMEOUT_SECONDS * 10):
            if offers or done.wait(0.1):
                break
        process.terminate()
        process.wait()
    server.shutdown()
    return offers


for name in sys.argv[1:]:
    for case, sdp in record(name).items():
        (FOLDER / f"{name}_{case}.sdp").write_bytes(sdp.encode())
        sys.stdout.write(f"{name} {case}: {len(sdp)} bytes\n")
