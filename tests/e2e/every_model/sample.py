"""Media to give to models: made on the fly, small, and uploaded once for each type."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.media_pb2 import Upload
from generation_client import GenerationClient, GenerationError, translated
from generation_svc.domain.media import MediaKind
from generation_svc.domain.media_input import MediaInput
from tests.odd_clip import film, sound, wav

PICTURE = (640, 512)
SECONDS = 2
PIECE = 2**20


@dataclass
class Samples:
    """Uploads by what is wanted; several of a kind are different files."""

    client: GenerationClient
    _held: dict[str, asyncio.Future[Upload]] = field(default_factory=dict)
    sha256_by_id: dict[str, str] = field(default_factory=dict)
    """The digests of the uploads as the service stored them."""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """The name and the bytes of each file, by its input text: a person sends it as it is."""

    async def give(self, one: MediaInput, number: int) -> str:
        """Return the input text of an upload that the input takes."""
        seconds = SECONDS
        if one.min_duration is not None:
            seconds = max(seconds, int(one.min_duration.total_seconds()) + 1)
        key = f"{one.kind} {seconds} {number}"
        if key not in self._held:
            self._held[key] = asyncio.ensure_future(self._upload(one, seconds, number))
        upload = await asyncio.shield(self._held[key])
        self.sha256_by_id[upload.id] = upload.sha256
        return f"upload:{upload.id}"

    async def _upload(self, one: MediaInput, seconds: int, number: int) -> Upload:
        data = await asyncio.to_thread(_made, one, seconds, number)
        try:
            with translated():
                answer = await self.client.generation.UploadInput(_pieces(data))
        except GenerationError as error:
            raise AssertionError(f"{one.kind} is not taken as an upload: {error}") from error
        self.files[f"upload:{answer.upload.id}"] = (_name(one, number), data)
        return answer.upload


def picture(number: int, *, size: tuple[int, int] = PICTURE) -> bytes:
    """Return a picture that differs from those of other numbers."""
    output = BytesIO()
    Image.new("RGB", size, (40 + 35 * number % 200, 90, 140)).save(output, "PNG")
    return output.getvalue()


def _made(one: MediaInput, seconds: int, number: int) -> bytes:
    if one.kind is MediaKind.IMAGE:
        return picture(number)
    if one.kind is MediaKind.VIDEO:
        return film("mp4", "h264", frames=12 * seconds + number)
    if "audio/mpeg" in one.mime_types:
        return sound("mp3", "mp3", seconds=seconds + number)
    return wav(seconds=seconds + number)


def _name(one: MediaInput, number: int) -> str:
    if one.kind is MediaKind.IMAGE:
        return f"picture{number}.png"
    if one.kind is MediaKind.VIDEO:
        return f"film{number}.mp4"
    return f"sound{number}.mp3" if "audio/mpeg" in one.mime_types else f"sound{number}.wav"


def _pieces(data: bytes) -> Iterator[pb.UploadInputRequest]:
    for start in range(0, len(data), PIECE):
        yield pb.UploadInputRequest(data=data[start : start + PIECE])
