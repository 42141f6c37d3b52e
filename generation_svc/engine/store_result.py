"""Stores one file of a result, from its link, a fresh one or what was told, with its cover."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import structlog

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.error import (
    FetchFailed,
    HostUnreachable,
    LinkDead,
    ProviderError,
    ProviderRefused,
    ResultRejected,
    ResultTooLarge,
    Unavailable,
)
from generation_svc.domain.identifier import new_id
from generation_svc.domain.media import Media, MediaKind, kind_of
from generation_svc.domain.model import ResultForm
from generation_svc.domain.observation import ResultItem
from generation_svc.domain.port.media import FIRST_COVER_POSITION, Examined, StoredFile
from generation_svc.engine.result_deadline import is_last_try
from generation_svc.lifecycle.dependencies import Dependencies

FRESH_FROM_TRY = 2
"""From which try on a fresh link is asked for even where the trouble may pass by itself."""
LINK_TROUBLES = (LinkDead, FetchFailed, ResultRejected)
"""What a link says that gives nothing, or nothing that can be used."""
_logger = structlog.get_logger(__name__)


async def store_file(
    deps: Dependencies,
    attempt: Attempt,
    *,
    position: int,
    item: ResultItem,
    form: ResultForm | None = None,
) -> list[StoredFile]:
    """Store a file, and the cover that belongs to it: the provider's, or a video's own poster."""
    async with _held(deps, attempt, item=item, form=form) as found:
        kept = await _store(deps, attempt, position=position, found=found)
        cover = await _keep_cover(deps, attempt, position=position, url=item.cover_url)
        if cover is None and found.poster:
            place = FIRST_COVER_POSITION + position
            cover = await _store(deps, attempt, position=place, found=found.poster)
    media = replace(
        kept.media,
        title=item.title,
        duration=_duration(kept.media, said=item.duration),
        number=position + 1,
    )
    if cover is None:
        return [replace(kept, media=media)]
    return [cover, replace(kept, media=replace(media, cover_id=cover.media.id))]


def _held(
    deps: Dependencies, attempt: Attempt, *, item: ResultItem, form: ResultForm | None
) -> AbstractAsyncContextManager[Examined]:
    if item.url:
        return _fetched(deps, attempt, url=item.url, form=form)
    told = "application/json" if item.content[:1] in ("{", "[") else "text/plain"
    return deps.media.fetcher.write(item.content, mime_type=item.mime_type or told)


def _duration(media: Media, *, said: timedelta | None) -> timedelta | None:
    """Return what the bytes say; the provider's word where they are silent, and can be played."""
    is_played = media.kind in (MediaKind.VIDEO, MediaKind.AUDIO)
    return media.duration or (said if is_played else None)


async def _keep_cover(
    deps: Dependencies, attempt: Attempt, *, position: int, url: str
) -> StoredFile | None:
    """Store a cover if it can be fetched soon; a result never waits long for its cover."""
    if not url:
        return None
    try:
        async with (
            asyncio.timeout(deps.timing.cover_timeout.total_seconds()),
            _fetched(deps, attempt, url=url) as found,
        ):
            if kind_of(found.mime_type) is MediaKind.IMAGE:
                place = FIRST_COVER_POSITION + position
                return await _store(deps, attempt, position=place, found=found)
    except (*LINK_TROUBLES, ProviderError, Unavailable, TimeoutError) as error:
        _logger.warning("a cover could not be fetched", error=repr(error))
    return None


async def _store(
    deps: Dependencies, attempt: Attempt, *, position: int, found: Examined
) -> StoredFile:
    # Whoever lost the lease may still be writing: not over what somebody else settles with.
    key = f"result/{attempt.job_id}/{attempt.id}/{position}-{attempt.fetch_tries}"
    # Bytes before their row: a row without bytes would be a result that nobody can open.
    await deps.media.store.put_file(key, found.path)
    media = Media(
        id=new_id(deps.database.now()),
        mime_type=found.mime_type,
        size_bytes=found.size_bytes,
        width=found.width,
        height=found.height,
        sha256=found.sha256,
        duration=found.duration,
    )
    return StoredFile(position, media, key)


@asynccontextmanager
async def _fetched(
    deps: Dependencies, attempt: Attempt, *, url: str, form: ResultForm | None = None
) -> AsyncIterator[Examined]:
    """Hold what is behind a link, or behind a fresh one."""
    # What a callback names, somebody else may have named; what was asked for, the provider said.
    is_proved = attempt.ended_by in ("poll", "answer") and deps.provider.client.is_proved
    async with AsyncExitStack() as stack:
        try:
            fetching = deps.media.fetcher.fetch(url, is_proved=is_proved, form=form)
            found = await stack.enter_async_context(fetching)
            _check_whole(deps, attempt, found=found)
        except ResultTooLarge:
            raise
        except LINK_TROUBLES as error:
            if isinstance(error, FetchFailed) and attempt.fetch_tries < FRESH_FROM_TRY:
                raise
            found = await _fetch_fresh(
                deps, attempt, url=url, form=form, trouble=error, stack=stack
            )
        yield found


def _check_whole(deps: Dependencies, attempt: Attempt, *, found: Examined) -> None:
    """Raise FetchFailed for a picture that is damaged, until there is no time for another copy.

    Then it is kept as it is: it is paid for, and somebody may still make something of it.
    """
    if found.is_damaged and not is_last_try(deps, attempt):
        raise FetchFailed("The image is damaged or incomplete.")


async def _fetch_fresh(
    deps: Dependencies,
    attempt: Attempt,
    *,
    url: str,
    form: ResultForm | None,
    trouble: Exception,
    stack: AsyncExitStack,
) -> Examined:
    """Try a fresh link; whatever is wrong with it, the link itself is tried again next time."""
    try:
        fresh = await deps.provider.client.fresh_link(url, account=attempt.account.name)
        fetching = deps.media.fetcher.fetch(fresh.url, is_proved=fresh.is_proved, form=form)
        found = await stack.enter_async_context(fetching)
        _check_whole(deps, attempt, found=found)
        return found
    except (ResultTooLarge, HostUnreachable):
        raise
    except (*LINK_TROUBLES, ProviderRefused) as error:
        _logger.info("a fresh link did not help", error=repr(error))
        raise trouble from error
    except ProviderError as error:
        raise HostUnreachable(f"No fresh link can be obtained now: {error}") from error
