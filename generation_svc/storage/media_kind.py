"""How SQL tells the kinds of media apart: in queries, and in the indexes that serve them."""

from generation_svc.domain.retention import VIDEO_TYPE

IS_VIDEO = f"starts_with(mime_type, '{VIDEO_TYPE}')"
"""The rule that media is a video, as its index has it."""
