"""The part of the session (docs/reference/session.md) that the client needs, in JSON over libsoup's
WebSocket, on GLib's main loop."""

import json
from collections.abc import Callable
from typing import Any

from gi.repository import GLib, Soup

SUBPROTOCOL = "nexus.v1.json"
# Maximum size of a message: the answer to a join exceeds libsoup's default.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

Answer = dict[str, Any]


class Session:
    def __init__(
        self,
        url: str,
        on_open: Callable[[], None],
        on_event: Callable[[Answer], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._url = url
        self._on_open = on_open
        self._on_event = on_event
        self._on_end = on_end
        self._last = 0
        self._waiting: dict[int, tuple[str, Callable[[Answer], None]]] = {}
        self._socket: Any = None
        self._soup = Soup.Session()

    def connect(self) -> None:
        message = Soup.Message.new("GET", self._url)
        self._soup.websocket_connect_async(
            message, None, [SUBPROTOCOL], GLib.PRIORITY_DEFAULT, None, self._on_connected
        )

    def request(self, name: str, body: Answer, on_answer: Callable[[Answer], None]) -> None:
        """Sends a request. `on_answer` receives the body of its answer; an error ends the session."""
        self._last += 1
        self._waiting[self._last] = (name, on_answer)
        self._socket.send_text(json.dumps({"requestId": self._last, name: body}))

    def ping_every(self, milliseconds: int) -> None:
        def ping() -> bool:
            if self._socket.get_state() != Soup.WebsocketState.OPEN:
                return False
            self.request("ping", {}, lambda _: None)
            return True

        GLib.timeout_add(milliseconds, ping)

    def _on_connected(self, soup: Soup.Session, result: Any) -> None:
        try:
            self._socket = soup.websocket_connect_finish(result)
        except GLib.Error as error:
            self._on_end(f"the WebSocket: {error.message}")
            return
        self._socket.set_max_incoming_payload_size(MAX_MESSAGE_BYTES)
        self._socket.connect("message", lambda _, __, data: self._read(json.loads(data.get_data())))
        self._socket.connect("closed", self._on_closed)
        self._on_open()

    def _on_closed(self, socket: Any) -> None:
        self._on_end(f"the session ended: {socket.get_close_code()} {socket.get_close_data()}")

    def _read(self, message: Answer) -> None:
        if number := message.get("requestId"):
            name, on_answer = self._waiting.pop(number)
            if "error" in message:
                self._on_end(f"{name}: {message['error']}")
            else:
                on_answer(message.get(name, {}))
        elif "event" in message:
            self._on_event(message["event"])
        else:
            for ending in ("disconnected", "error"):
                if ending in message:
                    self._on_end(f"{ending}: {message[ending]}")
