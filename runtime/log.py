"""Logging: structlog over the standard library's, one line per event, free of secrets.

Code logs through `structlog.get_logger()`: a short sentence and its data. What belongs to every
line of a call (`correlation_id`, `job_id`) is bound with `structlog.contextvars.bound_contextvars`.
Lines of other libraries take the same way out, and the last step before the stream is redaction,
so that it sees what is written: values, exception texts and tracebacks.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import IO, TYPE_CHECKING

import structlog
from pydantic import SecretStr

from runtime.redaction import redact, redactor
from runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from structlog.typing import Processor

_CHATTY = ("httpcore", "httpcore2", "httpx", "httpx2", "uvicorn.error", "asyncio", "PIL")
"""Libraries whose news at INFO is one line per request or none of an operator's business."""

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


class RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record and replaces every secret in what came out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the finished line."""
        return redactor(super().format(record))


def configure(settings: ProcessSettings, *, process: str, stream: IO[str] | None = None) -> None:
    """Send all logging of this process to one stream (stderr), its secret settings redacted."""
    redact(*(value for _, value in settings if isinstance(value, SecretStr)))
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(settings.log_format, process=process, stream=handler.stream))
    # Forced: a handler that a library has put there would write the line again, unredacted.
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    _configure_structlog()
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _formatter(log_format: str, *, process: str, stream: IO[str]) -> logging.Formatter:
    def name_process(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    as_json: list[Processor] = [
        name_process,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    # Plain tracebacks: the pretty ones print local variables.
    as_text: list[Processor] = [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
    return RedactingFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(as_json if log_format == "json" else as_text),
        ],
    )


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("runtime").critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_value is not None:
        _log_uncaught(uncaught.exc_type, uncaught.exc_value, uncaught.exc_traceback)
