"""The files that were sent: their bytes, their ids, and how messages show them."""

import asyncio
import base64
import mimetypes
import secrets
from pathlib import Path, PurePosixPath

from sandbox.telegram.error import ApiError, bad_request
from sandbox.telegram.limit import PHOTO_UPLOAD_BYTES
from sandbox.telegram.model import FileKind, Json, StoredFile
from sandbox.telegram.param import Upload
from sandbox.telegram.picture import Picture, photo_sizes, thumbnail

FOLDERS: dict[FileKind, str] = {
    "Photo": "photos",
    "Document": "documents",
    "Video": "videos",
    "Audio": "music",
    "Thumbnail": "thumbnails",
}


def file_id(bot_id: int, file: StoredFile) -> str:
    """Return the id by which one bot, and no other, may use the file."""
    return base64.urlsafe_b64encode(f"{bot_id}:{file.id}".encode()).decode().rstrip("=")


class FileStore:
    """Keeps files in memory, or in a folder if there is one."""

    def __init__(self, files: dict[str, StoredFile], *, folder: Path | None) -> None:
        self.files = files
        self._folder = folder
        self._bytes: dict[str, bytes] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    async def add_photo(self, data: bytes) -> list[str]:
        """Keep a photo in all its sizes; return their ids, smallest first."""
        if not data:
            raise bad_request("file must be non-empty")
        if len(data) > PHOTO_UPLOAD_BYTES:
            limit = f"the maximum size is {PHOTO_UPLOAD_BYTES} bytes"
            raise bad_request(f"file of size {len(data)} bytes is too big for a photo; {limit}")
        pictures = await asyncio.to_thread(photo_sizes, data)
        stored = [self._add_picture(picture, "Photo") for picture in pictures]
        ids = [file.id for file in stored]
        for file in stored:
            file.siblings = ids
        return ids

    async def add_document(self, upload: Upload, *, preview: Picture | None = None) -> list[str]:
        """Keep a document and its preview; return their ids, the document's first."""
        document = self._add_named("Document", upload)
        preview = preview or await asyncio.to_thread(thumbnail, upload.data)
        return self._with_preview(document, preview)

    def add_playable(
        self, kind: FileKind, upload: Upload, *, about: Json, preview: Picture | None
    ) -> list[str]:
        """Keep a video or a song and its preview; return their ids, its own first."""
        file = self._add_named(kind, upload)
        file.about = about
        return self._with_preview(file, preview)

    def _add_named(self, kind: FileKind, upload: Upload) -> StoredFile:
        if not upload.data:
            raise bad_request("file must be non-empty")
        name = PurePosixPath(upload.name.replace("\\", "/")).name or "file"
        file = self._add(kind, upload.data, suffix=PurePosixPath(name).suffix)
        file.name = name
        file.mime_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return file

    def _with_preview(self, file: StoredFile, preview: Picture | None) -> list[str]:
        previews = [self._add_picture(preview, "Thumbnail").id] if preview else []
        file.siblings = [file.id, *previews]
        return file.siblings

    def shown(self, ids: list[str], *, bot_id: int) -> Json:
        """Return the field of a message that shows the files with these ids."""
        files = [self.files[one] for one in ids]
        cover = [self.files[one] for one in files[0].cover]
        return media_to_api(files, bot_id=bot_id, cover=cover)

    def for_bot(self, bot_id: int, *, file_id: str) -> StoredFile | None:
        """Return the file that a bot means by an id, if it is the bot's."""
        try:
            padded = file_id + "=" * (-len(file_id) % 4)
            owner, _, key = base64.urlsafe_b64decode(padded).decode().partition(":")
        except ValueError:
            return None
        return self.files.get(key) if owner == str(bot_id) else None

    def by_path(self, path: str) -> StoredFile | None:
        """Return the file that `getFile` has given this path."""
        return next((file for file in self.files.values() if file.path == path), None)

    def read(self, file: StoredFile) -> bytes:
        """Return a file's bytes."""
        if self._folder:
            return (self._folder / file.id).read_bytes()
        return self._bytes[file.id]

    def clear(self) -> None:
        """Forget every file."""
        for file in self.files.values():
            if self._folder:
                (self._folder / file.id).unlink(missing_ok=True)
        self.files.clear()
        self._bytes.clear()

    def _add_picture(self, picture: Picture, kind: FileKind) -> StoredFile:
        file = self._add(kind, picture.data, suffix=".jpg")
        file.mime_type = "image/jpeg"
        file.width, file.height = picture.width, picture.height
        return file

    def _add(self, kind: FileKind, data: bytes, *, suffix: str) -> StoredFile:
        key = secrets.token_urlsafe(9)
        path = f"{FOLDERS[kind]}/file_{len(self.files)}{suffix}"
        file = StoredFile(id=key, kind=kind, path=path, size=len(data), mime_type="")
        self.files[key] = file
        if self._folder:
            (self._folder / key).write_bytes(data)
        else:
            self._bytes[key] = data
        return file


def wrong_file() -> ApiError:
    """Make the 400 of a text that names no file."""
    return bad_request("wrong file identifier/HTTP URL specified")


def file_to_api(file: StoredFile, *, bot_id: int) -> Json:
    """Return what `PhotoSize`, `Document` and `File` have in common."""
    return {"file_id": file_id(bot_id, file), "file_unique_id": file.id, "file_size": file.size}


def photo_size_to_api(file: StoredFile, *, bot_id: int) -> Json:
    """Return one `PhotoSize`."""
    return file_to_api(file, bot_id=bot_id) | {"width": file.width, "height": file.height}


def media_to_api(files: list[StoredFile], *, bot_id: int, cover: list[StoredFile]) -> Json:
    """Return the field of a message that shows media: `photo`, `document`, `video` or `audio`."""
    first = files[0]
    if first.kind == "Photo":
        return {"photo": [photo_size_to_api(file, bot_id=bot_id) for file in files]}
    shown = file_to_api(first, bot_id=bot_id) | first.about
    shown |= {"file_name": first.name, "mime_type": first.mime_type}
    if len(files) > 1:
        shown["thumbnail"] = photo_size_to_api(files[1], bot_id=bot_id)
    if cover:
        shown["cover"] = [photo_size_to_api(file, bot_id=bot_id) for file in cover]
    return {first.kind.lower(): shown}
