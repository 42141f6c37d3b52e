"""Reads media and uploads from their rows."""

from datetime import timedelta

from generation_svc.domain.media import Media
from generation_svc.domain.port.media import FIRST_COVER_POSITION
from generation_svc.storage.connection import Row


def media_from_row(row: Row) -> Media:
    """Read media, or an upload, which has no title and no place in a result."""
    milliseconds, place = row["duration_ms"], row.get("position")
    is_result = place is not None and place < FIRST_COVER_POSITION
    return Media(
        id=row["id"],
        mime_type=row["mime_type"],
        size_bytes=row["size_bytes"],
        width=row["width"],
        height=row["height"],
        sha256=row["sha256"],
        duration=None if milliseconds is None else timedelta(milliseconds=milliseconds),
        title=row.get("title", ""),
        cover_id=row.get("cover_id"),
        number=row["position"] + 1 if is_result else 0,
    )
