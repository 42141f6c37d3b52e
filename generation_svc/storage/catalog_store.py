"""The layers of the catalog on PostgreSQL, and the documents that jobs were made with."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from psycopg.types.json import Json

from generation_svc.domain.catalog_layer import CatalogLayers, Override
from generation_svc.domain.schema import JsonObject
from generation_svc.storage.connection import Connection, Row


class PostgresCatalogStore:
    """The `CatalogStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def revision(self) -> int:
        cursor = await self._connection.execute("SELECT revision FROM catalog_state")
        row = await cursor.fetchone()
        return row["revision"] if row else 0

    async def layers(self) -> CatalogLayers:
        cursor = await self._connection.execute(_LAYERS)
        rows = await cursor.fetchall()
        return CatalogLayers(
            revision=max((row["revision"] for row in rows), default=0),
            imports={row["model_id"]: row["entry"] for row in rows if row["entry"] is not None},
            overrides={row["model_id"]: _override(row) for row in rows if row["patch"] is not None},
        )

    async def advance(self, revision: int) -> bool:
        cursor = await self._connection.execute(_ADVANCE, {"revision": revision})
        return cursor.rowcount == 1

    async def put_imports(self, entries: Mapping[str, JsonObject], *, source: str) -> None:
        values = {
            "models": list(entries),
            "entries": [Json(entry) for entry in entries.values()],
            "source": source,
        }
        await self._connection.execute(_PUT_IMPORTS, values)

    async def drop_imports(self, model_ids: Collection[str]) -> None:
        await self._connection.execute(
            "DELETE FROM catalog_import WHERE model_id = ANY(%s)", (list(model_ids),)
        )

    async def put_override(self, model_id: str, override: Override) -> None:
        if not override.patch and not override.is_off:
            await self._connection.execute(
                "DELETE FROM catalog_override WHERE model_id = %s", (model_id,)
            )
            return
        values = {
            "model_id": model_id,
            "patch": Json(override.patch),
            "is_off": override.is_off,
            "reason": override.reason,
        }
        await self._connection.execute(_PUT_OVERRIDE, values)

    async def keep_document(self, digest: str, document: JsonObject) -> None:
        await self._connection.execute(_KEEP_DOCUMENT, (digest, Json(document)))

    async def document(self, digest: str) -> JsonObject | None:
        cursor = await self._connection.execute(
            "SELECT document FROM catalog_document WHERE digest = %s", (digest,)
        )
        row = await cursor.fetchone()
        return row["document"] if row else None

    async def forget_documents(self, *, unused_for: timedelta) -> int:
        cursor = await self._connection.execute(_FORGET_DOCUMENTS, (unused_for,))
        return cursor.rowcount


def _override(row: Row) -> Override:
    return Override(
        patch=row["patch"],
        is_off=row["is_off"],
        reason=row["reason"],
        update_time=row["update_time"],
    )


# One row more than there are models, so that the revision comes along where there is none.
_LAYERS = """
SELECT state.revision, layer.* FROM catalog_state AS state LEFT JOIN (
    SELECT coalesce(i.model_id, o.model_id) AS model_id, i.entry,
           o.patch, o.is_off, o.reason, o.update_time
    FROM catalog_import AS i FULL JOIN catalog_override AS o ON o.model_id = i.model_id
) AS layer ON true
"""
# The first change writes the row. Whoever comes second finds another revision and has to review
# anew: what was reviewed is what is applied.
_ADVANCE = """
INSERT INTO catalog_state AS s (name, revision, update_time)
SELECT 'catalog', %(revision)s::bigint + 1, now()
WHERE %(revision)s::bigint = 0 OR EXISTS (SELECT FROM catalog_state)
ON CONFLICT (name) DO UPDATE SET revision = s.revision + 1, update_time = now()
WHERE s.revision = %(revision)s::bigint
"""
_PUT_IMPORTS = """
INSERT INTO catalog_import (model_id, entry, source, import_time)
SELECT model_id, entry, %(source)s, now()
FROM unnest(%(models)s::text[], %(entries)s::json[]) AS new (model_id, entry)
ON CONFLICT (model_id) DO UPDATE SET entry = excluded.entry, source = excluded.source,
    import_time = excluded.import_time
"""
_PUT_OVERRIDE = """
INSERT INTO catalog_override (model_id, patch, is_off, reason, update_time)
VALUES (%(model_id)s, %(patch)s, %(is_off)s, %(reason)s, now())
ON CONFLICT (model_id) DO UPDATE SET patch = excluded.patch, is_off = excluded.is_off,
    reason = excluded.reason, update_time = excluded.update_time
"""
_KEEP_DOCUMENT = """
INSERT INTO catalog_document (digest, document, use_time) VALUES (%s, %s, now())
ON CONFLICT (digest) DO UPDATE SET use_time = excluded.use_time
"""
_FORGET_DOCUMENTS = """
DELETE FROM catalog_document WHERE use_time < now() - %s::interval
"""
