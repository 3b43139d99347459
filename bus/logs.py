"""Logs: structlog to stderr, as lines for people or as JSON for machines, and never with a secret in them.

`RATCHET_LOG` is `console` (the default) or `json`; `RATCHET_LOG_LEVEL` is a level's name (`info`). The
standard library's logging, which nats-py uses, goes the same way.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_CREDENTIALS = re.compile(r"(?<=://)([^\s/@:\"']*:)?[^\s/@\"']+(?=@)")


def redact(text: str) -> str:
    """The text with the password (or the token) of every URL in it replaced by `***`."""
    return _CREDENTIALS.sub(lambda match: f"{match.group(1) or ''}***", text)


def configure(service: str = "", *, file: TextIO | None = None) -> None:
    """Set logging up for this process; `service` stands in every line. May be called again.

    Raises:
        ValueError: `RATCHET_LOG` or `RATCHET_LOG_LEVEL` holds a word that is not known.
    """
    style = os.environ.get("RATCHET_LOG", "console").lower()
    level_name = os.environ.get("RATCHET_LOG_LEVEL", "info")
    levels = logging.getLevelNamesMapping()
    if style not in {"console", "json"}:
        raise ValueError(f"RATCHET_LOG is {style!r}; set it to console or json")
    if level_name.upper() not in levels:
        raise ValueError(f"RATCHET_LOG_LEVEL is {level_name!r}; set it to debug, info, warning or error")
    stream = file if file is not None else sys.stderr
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if style == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
                _redact_line,
            ],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(levels[level_name.upper()])
    structlog.contextvars.clear_contextvars()
    if service:
        structlog.contextvars.bind_contextvars(service=service)


@contextmanager
def bound(**facts: str | int) -> Iterator[None]:
    """Let every line logged in the body carry these facts: role, instance, campaign, round, duty."""
    with structlog.contextvars.bound_contextvars(**facts):
        yield


def _redact_line(_: WrappedLogger, __: str, line: EventDict | str | bytes) -> str:
    """The last processor: works on the finished line, so that no nesting hides a secret from it."""
    return redact(str(line))
