"""Silences errors that gRPC's core logs for answers whose connection has gone."""

import logging

import grpc.aio

LOGGER = "grpc._cython.cygrpc"


class LateAnswers(logging.Filter):
    """Drops the tracebacks of answers that the core could no longer send."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep everything else."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, grpc.aio.InternalError)


_filter = LateAnswers()


def quieten() -> None:
    """Install the filter; calling this again changes nothing."""
    # On the logger and not on a handler: a test or another library may have a handler of its own.
    logging.getLogger(LOGGER).addFilter(_filter)
