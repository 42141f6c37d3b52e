"""One step of the engine: what a scheduler would claim and do, done once."""

from generation_svc.engine import dispatch as dispatching
from generation_svc.engine import fetch_result as fetching
from generation_svc.engine import poll as polling
from generation_svc.engine import send_webhook as posting
from generation_svc.engine.work import do_one
from generation_svc.lifecycle.dependencies import Dependencies


async def dispatch(deps: Dependencies) -> bool:
    """Send the fairest due job, or try an account; return whether there was something to do."""
    return await do_one(deps, dispatching.WORK)


async def poll(deps: Dependencies) -> bool:
    """Read one task that is due; return whether there was one."""
    return await do_one(deps, polling.WORK)


async def fetch_result(deps: Dependencies) -> bool:
    """Fetch one result that is due; return whether there was one."""
    return await do_one(deps, fetching.WORK)


async def send_webhook(deps: Dependencies) -> bool:
    """Post one webhook whose turn it is; return whether there was one."""
    return await do_one(deps, posting.WORK)
