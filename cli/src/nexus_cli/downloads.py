"""Downloads with progress, for `nexus record get`. A file appears under its name when it is complete."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import aiohttp
from nexus.recorder.v1 import recorder_pb2
from nexus_rtc.errors import ConnectionFailed
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

CHUNK_BYTES: Final = 1 << 18
CONNECT_SECONDS: Final = 15.0
# A store that sends nothing for this long does not answer any more.
SILENT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Download:
    url: str
    name: str
    # Unknown: 0 and empty.
    size: int = 0
    sha256: str = ""


def files_of(playback: recorder_pb2.GetPlaybackResponse) -> list[Download]:
    """The files and the manifest. Two keys never share a name: a number tells them apart."""
    found: list[Download] = []
    names: set[str] = set()
    for link in playback.links:
        name = _free_name(PurePosixPath(link.file.key).name or "file", names)
        found.append(Download(link.url, name, link.file.bytes, link.file.sha256))
    if playback.manifest_url:
        found.append(Download(playback.manifest_url, _free_name("manifest.json", names)))
    return found


def _free_name(name: str, taken: set[str]) -> str:
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    chosen, number = name, 1
    while chosen in taken:
        number += 1
        chosen = f"{stem}-{number}{suffix}"
    taken.add(chosen)
    return chosen


async def download(files: list[Download], folder: Path) -> None:
    """Writes the files into an existing folder. Raises NexusError, OSError."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        with Progress(*columns) as progress:
            for file in files:
                await _fetch(http, file, folder, progress)


async def _fetch(http: aiohttp.ClientSession, file: Download, folder: Path, progress: Progress) -> None:
    task = progress.add_task(file.name, total=file.size or None)
    partial = folder / f"{file.name}.part"
    digest = hashlib.sha256()
    try:
        async with http.get(file.url) as response:
            if response.status != 200:
                raise ConnectionFailed(
                    "DOWNLOAD_FAILED", f"{file.name}: the store answered {response.status}"
                )
            with partial.open("wb") as out:
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    out.write(chunk)
                    digest.update(chunk)
                    progress.advance(task, len(chunk))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ConnectionFailed("DOWNLOAD_FAILED", f"{file.name}: {error}") from error
    if file.sha256 and digest.hexdigest() != file.sha256:
        raise ConnectionFailed("DOWNLOAD_FAILED", f"{file.name}: the content differs from its hash")
    partial.replace(folder / file.name)
