"""Start the edge: `python -m edge_bot`."""

from __future__ import annotations

from edge_bot.app import serve
from edge_bot.metric import Meter
from edge_bot.settings import EdgeSettings
from runtime import log
from runtime.metric import serve_metrics
from runtime.process import run
from runtime.shutdown import shutdown_signals


async def main(settings: EdgeSettings) -> None:
    """Run until a signal asks for the end."""
    async with shutdown_signals() as stop, serve_metrics(settings.metrics_listen):
        await serve(settings, stop=stop, meter=Meter())


if __name__ == "__main__":
    loaded = EdgeSettings.load()
    log.configure(loaded, process="edge_bot")
    run(lambda: main(loaded))
