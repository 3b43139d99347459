"""A cache of blobs, bounded in bytes: what was not used longest goes first."""

from collections import OrderedDict


class ByteCache:
    """Blobs by hash; never holds more than `capacity` bytes of them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> bytes | None:
        """The blob, or None where it is not held."""
        data = self._entries.get(name)
        if data is not None:
            self._entries.move_to_end(name)
        return data

    def put(self, name: str, data: bytes) -> None:
        """Hold a blob; one larger than a quarter of the cache is not worth what it would push out."""
        if name in self._entries or len(data) > self._capacity // 4:
            return
        self._entries[name] = data
        self._size += len(data)
        while self._size > self._capacity:
            _, gone = self._entries.popitem(last=False)
            self._size -= len(gone)

    def __contains__(self, name: str) -> bool:
        return name in self._entries
