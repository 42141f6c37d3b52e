"""The wiring: opens everything in order, runs the parts, closes it in the opposite order."""

from generation_svc.server.process import serve
from generation_svc.server.wiring import open_dependencies

__all__ = ["open_dependencies", "serve"]
