"""Every subject and JetStream name on the bus, in one place."""

from functools import lru_cache

LEDGER_STREAM = "LEDGER"
"""JetStream stream into which the relay publishes what was committed; can be deleted and is rebuilt."""
LEDGER_EVENTS = "events"
"""Committed events: `events.<category>.<token of the rest of the stream's name>`."""
LEDGER_API = "ledger"
"""Requests to the ledger service: `ledger.<tag of the request>`."""
MODELS = "models.complete"
"""Calls of models behind endpoints, asked of the gateway."""

COMMITS_STREAM = "COMMITS"
"""JetStream stream that is the log of a replicated ledger: one message, or an atomic batch, per transaction."""
COMMITS = "commits"
COMMITTED = "committed"
"""Headers of what `commits` took, published again by the server once they are stored: what wakes a replica."""

JOBS_STREAM = "JOBS"
"""Work queue: `jobs.<kind>`."""
RESULTS_STREAM = "RESULTS"
"""Results under their job's id: `results.<kind>.<id>`; a cache, which may be lost."""
DEAD_STREAM = "DEAD"
"""Messages that could not be understood or served, with the reason: `dead.<where>`."""
LEASES_BUCKET = "leases"

BEATS = "beats"
"""`beats.<role>.<instance>`: a sign of life of every agent, a few times a minute."""

PROGRESS = "progress"
"""`progress.<kind>.<id>`: how far a job has come; heard by whoever listens, kept by nobody."""
WITHDRAWN = "withdrawn"
"""`withdrawn.<kind>.<id>`: nobody waits for a job any more."""

JOB_KINDS = ("episode", "resample", "experiment", "experiment_gpu", "rollout")


def token(name: str) -> str:
    """A stream's name as subject tokens: `lineage/main` → `lineage.main`; what NATS forbids becomes `%XX`."""
    return ".".join(
        "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):02X}" for c in part) or "%"
        for part in name.split("/")
    )


@lru_cache(4096)
def event_subject(stream: str) -> str:
    """The subject under which a stream's events are published."""
    return f"{LEDGER_EVENTS}.{token(stream)}"


def job_subject(kind: str) -> str:
    """The subject of a kind of job."""
    return f"jobs.{kind}"


def result_subject(kind: str, job: str) -> str:
    """The subject of one job's result."""
    return f"results.{kind}.{job}"


def progress_subject(kind: str, job: str) -> str:
    """The subject on which one job's progress is told."""
    return f"{PROGRESS}.{kind}.{job}"


def withdrawal_subject(kind: str, job: str) -> str:
    """The subject on which workers hear that a job is withdrawn."""
    return f"{WITHDRAWN}.{kind}.{job}"


def dead_subject(where: str) -> str:
    """The subject for what could not be understood at a place: `dead.jobs.episode`."""
    return f"dead.{where}"
