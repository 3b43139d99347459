"""What an early death leaves behind: the first process of a sandbox, whose bubblewrap was killed too soon.

Bubblewrap dies with whoever started it. The process that it has just made for the inside is not tied to it yet, and
would wait for it for ever.
"""

import os
import signal
from pathlib import Path

PROCESSES = Path("/proc")


def sweep(guest: Path) -> list[int]:
    """Kill such processes of the sandboxes that show this folder to their guests, and tell which."""
    return [int(each.name) for each in PROCESSES.iterdir() if each.name.isdigit() and _ended(each, guest)]


def _ended(process: Path, guest: Path) -> bool:
    """Whether it was one, and is killed. Whatever ends meanwhile, or is another user's, is none."""
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        if not words[0].endswith(b"bwrap") or str(guest).encode() not in words:
            return False
        lines = (process / "status").read_text().splitlines()
        facts = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        inside = len(facts.get("NSpid", ())) > 1
        [parent] = facts["PPid"]
        if not inside or (PROCESSES / parent / "comm").read_text().strip() == "bwrap":
            return False
        os.kill(int(process.name), signal.SIGKILL)
    except OSError:
        return False
    return True
