"""An exporter that appends spans to a file of JSON lines, which many processes may share."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class FileExporter(SpanExporter):
    """Appends every span as a line of JSON."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans; a full disk loses them and never stops the work."""
        if self._file is None:
            return SpanExportResult.FAILURE
        try:
            for span in spans:
                os.write(self._file, _line(span))
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _line(span: ReadableSpan) -> bytes:
    context = span.get_span_context()
    record = {
        "name": span.name,
        "service": span.resource.attributes.get("service.name", ""),
        "trace": f"{context.trace_id:032x}" if context is not None else "",
        "span": f"{context.span_id:016x}" if context is not None else "",
        "parent": f"{span.parent.span_id:016x}" if span.parent is not None else "",
        "start": (span.start_time or 0) / 1e9,
        "end": (span.end_time or 0) / 1e9,
        "status": span.status.status_code.name.lower(),
        "attributes": dict(span.attributes or {}),
        "events": [{"name": e.name, "attributes": dict(e.attributes or {})} for e in span.events],
    }
    return msgspec.json.encode(record) + b"\n"
