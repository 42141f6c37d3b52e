"""Work that blocks, each piece in a thread of its own.

The loop's own threads are few and shared by all that asks for them, so that what strangers can
make slow would hold up what they cannot. The threads here are daemons: none of them delays the end
of the process. Who asks bounds how many there are at once.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T], *, name: str) -> _T:
    """Do the work in a thread and return what it returns, or raise what it raises.

    Whoever is cancelled meanwhile leaves the work to its end.
    """
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()  # whoever waits cannot cancel what a thread does

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
            future.set_exception(error)

    Thread(target=do, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
