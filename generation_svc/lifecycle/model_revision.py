"""The document of a model that a job was made with: schema, mapping and price until it ends.

Its digest is stored with the job, and the document by its digest. A process keeps those of unlike
revisions that it met; the one that is on offer it has anyway.
"""

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.job import Job
from generation_svc.domain.model import Model
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle.dependencies import Dependencies, Revisions
from runtime.clock import loop_time

MOST_KNOWN = 64
"""How many earlier revisions a process keeps at hand."""
KEEP_SECONDS = 3600.0
"""How often a document that is in use is said to be; unused ones are forgotten after a day."""


def known(deps: Dependencies, job: Job | Attempt) -> Model | None:
    """Return the model of a job as it was made with, unless it has to be read."""
    current = deps.models.catalog.models.get(job.model_id)
    if job.model_digest is None or (current and current.digest == job.model_digest):
        return current
    return deps.models.revisions.earlier.get(job.model_digest)


async def of_job(
    deps: Dependencies, job: Job | Attempt, *, tx: Transaction | None = None
) -> Model | None:
    """Return the model of a job as it was made with; None if nobody knows it any more.

    Within a transaction it is read there: a second connection might never come.
    """
    model, digest = known(deps, job), job.model_digest
    if model or digest is None:
        return model
    if tx:
        document = await tx.catalog.document(digest)
    else:
        document = await deps.database.read(lambda query: query.catalog.document(digest))
    if document is None:
        return None
    earlier = deps.models.revisions.earlier
    while len(earlier) >= MOST_KNOWN:
        earlier.pop(next(iter(earlier)))
    return earlier.setdefault(digest, deps.models.format.model(document))


async def keep(deps: Dependencies, model: Model) -> None:
    """Have the document of a model in the database before a job is made with it."""
    digest, document = model.digest, model.document
    if digest is None or document is None:
        return
    revisions = deps.models.revisions
    if _is_kept(revisions, digest):
        return
    async with revisions.keeping:
        if not _is_kept(revisions, digest):
            async with deps.database.transaction() as tx:
                await tx.catalog.keep_document(digest, document)
            revisions.kept_at[digest] = loop_time()


def _is_kept(revisions: Revisions, digest: str) -> bool:
    kept_at = revisions.kept_at.get(digest)
    return kept_at is not None and loop_time() - kept_at < KEEP_SECONDS
