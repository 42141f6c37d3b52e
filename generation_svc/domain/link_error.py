"""The errors of links by which files are read and sent."""

from generation_svc.domain.error import AtelierError


class MediaLinkInvalid(AtelierError):
    """The media link is invalid or has expired."""


class UploadLinksDisabled(AtelierError):
    """The operator serves no links, so that nothing can be uploaded by one."""


class UploadLinkInvalid(AtelierError):
    """The upload link is invalid, has expired, or its file was sent already."""
