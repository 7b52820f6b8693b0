"""Logging: one JSON line an event on standard error, never a secret."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog

_HIDDEN = ("password", "secret", "token", "authorization", "cookie")


def _hide(
    _logger: object, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    for key in event:
        if any(word in key.lower() for word in _HIDDEN):
            event[key] = "***"
    return event


class _Stderr:
    """Standard error as it is at the moment of writing: a program may replace it while it runs."""

    def write(self, said: str) -> int:
        """Write to the present standard error."""
        return sys.stderr.write(said)

    def flush(self) -> None:
        """Flush the present standard error."""
        sys.stderr.flush()


def start_logging(level: int = logging.INFO) -> None:
    """Set up structlog for this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hide,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
    )
