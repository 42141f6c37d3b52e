"""Work that blocks, each piece in a thread that does nothing else meanwhile.

The loop's own threads are few and shared by all that asks for them, so that what strangers can
make slow would hold up what they cannot. Here nobody waits for a thread: where none is idle, one
more is started, and some stay for what comes next. They are daemons: none of them delays the end
of the process. Who asks bounds how many there are at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import TypeVar

MOST_IDLE = 16
"""How many threads are kept; one more ends with its work."""
_T = TypeVar("_T")
_Piece = Callable[[], None]
_idle: deque["SimpleQueue[_Piece]"] = deque()
"""Where the threads that have nothing to do are told of work."""


async def in_thread(work: Callable[[], _T], *, name: str) -> _T:
    """Do the work in a thread and return what it returns, or raise what it raises.

    Whoever is cancelled meanwhile leaves the work to its end.
    """
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()  # whoever waits cannot cancel what a thread does

    def do() -> None:
        current_thread().name = name
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
            future.set_exception(error)

    _begin(do)
    return await asyncio.wrap_future(future)


def _begin(piece: _Piece) -> None:
    try:
        inbox = _idle.pop()  # the one that was at work last, whose memory is warm
    except IndexError:
        Thread(target=_work, args=(piece,), daemon=True).start()
    else:
        inbox.put(piece)


def _work(piece: _Piece) -> None:
    inbox: SimpleQueue[_Piece] = SimpleQueue()
    while True:
        piece()
        del piece  # it holds what was worked on
        if len(_idle) >= MOST_IDLE:
            return
        _idle.append(inbox)
        piece = inbox.get()
