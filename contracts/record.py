"""The base of every record: frozen and keyword-only; fields that a reader does not know are passed over."""

from typing import Any, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _RecordMeta(msgspec.StructMeta):
    """Makes `frozen` and `kw_only` hold for every subclass; msgspec inherits only the first."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        return super().__new__(cls, name, bases, namespace, **{"frozen": True, "kw_only": True, **options})


class Record(msgspec.Struct, metaclass=_RecordMeta):
    """A frozen record. New fields must have defaults; a field is never retyped."""
