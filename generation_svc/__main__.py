"""Start the service: `python -m generation_svc`, or one part of it with `--only engine|rpc`."""

import sys

from runtime.start import imports_uncollected

with imports_uncollected():
    from prometheus_client import REGISTRY

    from generation_svc.part import BOTH, Part, read_parts
    from generation_svc.server import serve
    from generation_svc.settings import GenerationSettings
    from runtime import log
    from runtime.metric import serve_metrics
    from runtime.process import run
    from runtime.readiness import Readiness
    from runtime.shutdown import shutdown_signals


async def _serve(settings: GenerationSettings, *, parts: frozenset[Part]) -> None:
    readiness = Readiness()
    async with (
        shutdown_signals() as stop,
        serve_metrics(settings.metrics_listen, registry=REGISTRY, readiness=readiness),
    ):
        await serve(settings, stop=stop, registry=REGISTRY, parts=parts, readiness=readiness)


def main() -> None:
    """Read the command line and the settings, and serve."""
    parts = read_parts(sys.argv[1:])
    settings = GenerationSettings.load()
    only = "" if parts == BOTH else f" {next(iter(parts))}"
    log.configure(settings, process=f"generation_svc{only}")
    run(lambda: _serve(settings, parts=parts))


if __name__ == "__main__":
    main()
