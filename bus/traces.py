"""Traces: OpenTelemetry spans that follow a piece of work through every process that it touches.

Off, and next to free, unless the environment names a receiver: `OTEL_EXPORTER_OTLP_ENDPOINT` (OTLP over
HTTP, with the extra `otlp` installed) or `RATCHET_TRACE_FILE` (a file of JSON lines that many processes may
share). OpenTelemetry is imported only when it is on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

TRACEPARENT = "traceparent"
"""The message header that carries W3C trace context."""

Attribute = str | int | float | bool

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class SpanLike(Protocol):
    """What the body of `span` may do with it."""

    def set_attribute(self, key: str, value: Attribute) -> None:
        """Add a fact that is known only now."""
        ...


class _NoSpan:
    def set_attribute(self, key: str, value: Attribute) -> None:
        """Do nothing."""


class _State:
    provider: TracerProvider | None = None
    tracer: Tracer | None = None


_NO_SPAN = _NoSpan()


def configure(service: str, exporter: SpanExporter | None = None) -> bool:
    """Turn tracing on for this process if an exporter is given or the environment asks for one.

    Returns whether tracing is on. May be called again, with another exporter.
    """
    from_environment = exporter is None
    if from_environment and not (
        os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("RATCHET_TRACE_FILE")
    ):
        shutdown()
        return False
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    shutdown()
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=True)
    if exporter is not None:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    if from_environment and (path := os.environ.get("RATCHET_TRACE_FILE")):
        from bus.tracefile import FileExporter

        provider.add_span_processor(SimpleSpanProcessor(FileExporter(Path(path))))
    if from_environment and os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            structlog.get_logger("bus.traces").warning(
                "spans are not sent: install the extra with `pip install ratchet-harness[otlp]`"
            )
        else:
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _State.provider = provider
    _State.tracer = provider.get_tracer("ratchet")
    return True


def shutdown() -> None:
    """Send what is pending and turn tracing off."""
    provider, _State.provider, _State.tracer = _State.provider, None, None
    if provider is not None:
        provider.shutdown()


def enabled() -> bool:
    """Whether spans are recorded."""
    return _State.tracer is not None


@contextmanager
def span(name: str, parent_traceparent: str = "", /, **attributes: Attribute) -> Iterator[SpanLike]:
    """A span around the body; a child of `parent_traceparent` or, without one, of the span around it.

    An exception marks the span as failed and goes on.
    """
    tracer = _State.tracer
    if tracer is None:
        yield _NO_SPAN
        return
    context = _context(parent_traceparent)
    with tracer.start_as_current_span(name, context=context, attributes=attributes) as current:
        yield current


def current_traceparent() -> str:
    """The W3C trace context of the span around the caller; empty when there is none."""
    if _State.tracer is None:
        return ""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def inject(headers: MutableMapping[str, str]) -> None:
    """Write the current trace context into a message's headers; leaves them alone when there is none."""
    if parent := current_traceparent():
        headers[TRACEPARENT] = parent


def extract(headers: Mapping[str, str] | None) -> str:
    """The trace context in a message's headers; empty when there is none or it is not well-formed."""
    if not headers:
        return ""
    found = headers.get(TRACEPARENT, "")
    return found if _TRACEPARENT.fullmatch(found) else ""


def _context(traceparent: str) -> Context | None:
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    from opentelemetry import trace

    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    remote = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
    return trace.set_span_in_context(trace.NonRecordingSpan(remote))
