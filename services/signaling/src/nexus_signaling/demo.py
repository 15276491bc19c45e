"""The demo: a folder of built static files. Its pages are the call at `/`, and the recordings of a room at
`/recordings`."""

import mimetypes
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

# Media types by file extension. The host's table may be empty in a container or changed by a desktop.
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; "
        "media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:; worker-src 'self' blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self)",
    "Referrer-Policy": "no-referrer",  # an invite link names a room
    "X-Content-Type-Options": "nosniff",
}
# Only the recorder knows where the links of its stores lead, so the page that plays recordings may load media
# from everywhere.
_POLICY_WITH_STORES: Final = _SECURITY_HEADERS["Content-Security-Policy"].replace(
    "media-src 'self'", "media-src 'self' http: https:"
)
# Files of the pages that have a path of their own.
_PAGES: Final = {"": "index.html", "recordings": "recordings.html"}
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "no-cache"

_NOT_BUILT: Final = (
    "<!doctype html><meta charset=utf-8><title>Nexus RTC</title>"
    "<p>The demo page is not built. <code>make demo</code> builds it.</p>"
)


class DemoPage:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`GET /{path}`. The page itself handles an invite link, `/?room=x`."""
        path_in_url = request.match_info.get("path", "")
        name = _PAGES.get(path_in_url, path_in_url)
        path = self._file(name)
        if path is None:
            if name in _PAGES.values():
                return web.Response(
                    status=503, text=_NOT_BUILT, content_type="text/html", headers=_SECURITY_HEADERS
                )
            raise web.HTTPNotFound
        # Bundlers put a hash into the names of files under assets/, so their content never changes.
        cache = _IMMUTABLE if name.startswith("assets/") else _REVALIDATE
        response = web.FileResponse(path, headers={**_SECURITY_HEADERS, hdrs.CACHE_CONTROL: cache})
        if name == "recordings.html":
            response.headers["Content-Security-Policy"] = _POLICY_WITH_STORES
        response.content_type = _content_type(path)
        if response.content_type.startswith("text/") or response.content_type.endswith(("json", "xml")):
            response.charset = "utf-8"
        return response

    def _file(self, name: str) -> Path | None:
        """The file of that name inside the folder, with links resolved, or None."""
        try:
            path = (self._folder / name).resolve()
            return path if path.is_relative_to(self._folder) and path.is_file() else None
        except (OSError, ValueError):  # a NUL byte, or a name that is too long
            return None


def _content_type(path: Path) -> str:
    known = _TYPES.get(path.suffix.lower())
    return known or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
