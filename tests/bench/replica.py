"""A replica to measure: the service on a database, with nobody at work, and a bare echo beside it.

`python -m tests.bench.replica DATABASE_URL FOLDER` prints its two addresses as one line of JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import grpc
import structlog

from runtime.process import run
from runtime.shutdown import shutdown_signals
from tests.contract.service import serving

ECHO = "/bench.Echo/Say"


async def _echo(request: bytes, _: Any) -> bytes:
    return request


async def _serve(database_url: str, folder: Path) -> None:
    echo = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Say": grpc.unary_unary_rpc_method_handler(_echo)
    }
    echo.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    echo_address = f"127.0.0.1:{echo.add_insecure_port('127.0.0.1:0')}"
    await echo.start()
    async with shutdown_signals() as stop, serving(database_url, folder) as service:
        sys.stdout.write(json.dumps({"service": service.address, "echo": echo_address}) + "\n")
        sys.stdout.flush()
        await stop.wait()
    await echo.stop(grace=None)


def main() -> None:
    """Serve until asked to stop."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    database_url, folder = sys.argv[1:]
    run(lambda: _serve(database_url, Path(folder)))


if __name__ == "__main__":
    main()
