"""Which models are hidden: those that may need a file larger than Telegram gives to a bot.

Where the operator serves upload links, a larger file comes by a page, and none is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import structlog

from atelier.generation.v1 import edge_service_pb2 as edge_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from atelier.generation.v1.model_pb2 import MODEL_VIEW_FULL, Model
from edge_bot.service_error import is_passing
from edge_bot.view.layout import DOWNLOAD_BYTES
from edge_bot.view.media_input import needed_paths
from generation_client import GenerationClient

PAGE_SIZE = 25
"""How many models are read at once: in full they are large, and only their ids are kept."""

log = structlog.get_logger(__name__)


def may_need_large_file(model: Model) -> bool:
    """Tell whether a model needs a video or a sound that may be larger than a bot is given.

    A picture never is: Telegram makes one smaller that is sent as a photo.
    """
    needed = set(needed_paths(model))
    return any(
        each.name in needed
        and each.kind != MEDIA_KIND_IMAGE
        and each.max_size_bytes > DOWNLOAD_BYTES
        for each in model.media_inputs
    )


@dataclass(frozen=True, slots=True)
class LargeFiles:
    """Asks the service whether large files can come, and which models may need them."""

    client: GenerationClient
    bot_id: int

    async def hidden_ids(self) -> frozenset[str]:
        """Return the models to hide. Raises AioRpcError while the service cannot tell."""
        if await self._can_come():
            return frozenset()
        found: set[str] = set()
        page = await self._page()
        while True:
            found |= {each.id for each in page.models if may_need_large_file(each)}
            if not page.next_page_token:
                break
            page = await self._page(page.next_page_token)
        log.info("models are hidden since there are no upload links", count=len(found))
        return frozenset(found)

    async def _can_come(self) -> bool:
        # Asking for a link keeps nothing; nobody is told of this one.
        request = edge_pb.CreateUploadLinkRequest(owner=f"telegram:{self.bot_id}", draft="links")
        try:
            await self.client.edge.CreateUploadLink(request)
        except grpc.aio.AioRpcError as error:
            if is_passing(error):
                raise
            return False
        return True

    async def _page(self, token: str = "") -> pb.ListModelsResponse:
        request = pb.ListModelsRequest(view=MODEL_VIEW_FULL, page_size=PAGE_SIZE, page_token=token)
        page: pb.ListModelsResponse = await self.client.generation.ListModels(request)
        return page
