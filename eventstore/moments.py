"""Times as people write them."""

import re
import time
from datetime import UTC, datetime

from eventstore.errors import Malformed

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str) -> float:
    """Seconds since the epoch, from `2026-11-27`, `2026-11-27T13:05:10` (UTC where no zone is named), or `90m`: ago.

    Raises:
        Malformed: it is neither.
    """
    if ago := _AGO.fullmatch(text.strip()):
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Malformed(
            f"{text!r} is no time: want 2026-11-27, 2026-11-27T13:05:10 or, for how long ago, 90m"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
