"""Start the service: `python -m generation_svc`."""

from prometheus_client import REGISTRY

from generation_svc.server import serve
from generation_svc.settings import GenerationSettings
from runtime import log
from runtime.metric import serve_metrics
from runtime.process import run
from runtime.shutdown import shutdown_signals


async def _serve(settings: GenerationSettings) -> None:
    async with (
        shutdown_signals() as stop,
        serve_metrics(settings.metrics_listen, registry=REGISTRY),
    ):
        await serve(settings, stop=stop, registry=REGISTRY)


def main() -> None:
    """Read the settings and serve."""
    settings = GenerationSettings.load()
    log.configure(settings, process="generation_svc")
    run(lambda: _serve(settings))


if __name__ == "__main__":
    main()
