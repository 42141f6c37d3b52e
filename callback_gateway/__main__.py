"""Start the gateway: `python -m callback_gateway`."""

from __future__ import annotations

from runtime.start import imports_uncollected

with imports_uncollected():
    from callback_gateway.app import gateway
    from callback_gateway.metric import Meter
    from callback_gateway.settings import GatewaySettings
    from runtime import log
    from runtime.command_line import SETTINGS, take_no_arguments
    from runtime.metric import serve_metrics
    from runtime.process import run
    from runtime.shutdown import shutdown_signals


async def serve(settings: GatewaySettings) -> None:
    """Serve until a signal asks for the end."""
    async with (
        shutdown_signals() as stop,
        serve_metrics(settings.metrics_listen),
        gateway(settings, meter=Meter()),
    ):
        await stop.wait()


def main() -> None:
    """Read the settings and serve."""
    take_no_arguments(
        "callback_gateway",
        description=f"Receive KIE’s callbacks and serve links to media. {SETTINGS}",
    )
    settings = GatewaySettings.load()
    log.configure(settings, process="callback_gateway")
    run(lambda: serve(settings))


if __name__ == "__main__":
    main()
