"""Start the edge: `python -m edge_bot`."""

from __future__ import annotations

from runtime.start import imports_uncollected

with imports_uncollected():
    from edge_bot.app import serve
    from edge_bot.metric import Meter
    from edge_bot.settings import EdgeSettings
    from runtime import log
    from runtime.command_line import SETTINGS, take_no_arguments
    from runtime.metric import serve_metrics
    from runtime.process import run
    from runtime.shutdown import shutdown_signals


async def _serve(settings: EdgeSettings) -> None:
    async with shutdown_signals() as stop, serve_metrics(settings.metrics_listen):
        await serve(settings, stop=stop, meter=Meter())


def main() -> None:
    """Read the settings and serve until a signal asks for the end."""
    take_no_arguments("edge_bot", description=f"Run the Telegram bot. {SETTINGS}")
    settings = EdgeSettings.load()
    log.configure(settings, process="edge_bot")
    run(lambda: _serve(settings))


if __name__ == "__main__":
    main()
