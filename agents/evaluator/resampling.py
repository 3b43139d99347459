"""Where resamples are computed: small ones here, large ones as jobs on the workers; the figures are the same."""

from collections.abc import Sequence
from typing import Any

import anyio

from agents.work import Desk
from contracts import gate
from contracts.gate import ArmScores, GateSettings, ReleaseVerdict, Verdict


async def confirm(
    desk: Desk,
    incumbent: ArmScores,
    challenger: ArmScores,
    clusters: Sequence[str],
    settings: GateSettings,
    **rest: Any,
) -> Verdict:
    """`contracts.gate.confirm`, off the loop that renews leases."""
    return await anyio.to_thread.run_sync(
        lambda: gate.confirm(incumbent, challenger, clusters, settings, **rest)
    )


async def release_verdict(
    desk: Desk, base: ArmScores, head: ArmScores, clusters: Sequence[str], check: int, *, key: str
) -> ReleaseVerdict:
    """`contracts.gate.release`, off the loop that renews leases."""
    return await anyio.to_thread.run_sync(lambda: gate.release(base, head, clusters, check, key=key))
