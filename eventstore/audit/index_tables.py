"""The tables and views of an index, by which people query a ledger."""

from typing import Any

FORMAT = 2
"""Number of these tables; an index of another number is made anew."""

_PLACE: dict[str, Any] = {"position": int, "lineage": str, "campaign": str, "round": int}

TABLES: dict[str, dict[str, Any]] = {
    "events": {
        "position": int,
        "at": float,
        "stream": str,
        "version": int,
        "type": str,
        "actor": str,
        "hash": str,
        "payload": str,
    },
    "campaigns": {**_PLACE, "suite": str, "model": str, "fingerprint": str, "rounds": int, "seed": int},
    "tasks": {**_PLACE, "side": str, "number": int, "task": str, "package": str},
    "plans": {
        **_PLACE,
        "candidate": int,
        "surface": str,
        "operator": str,
        "title": str,
        "predicted": float,
    },
    "verdicts": {
        **_PLACE,
        "stage": str,
        "candidate": int,
        "decision": str,
        "effect": float,
        "low": float,
        "high": float,
        "p": float,
        "reason": str,
    },
    "costs": {
        **_PLACE,
        "stage": str,
        "episodes": int,
        "model_calls": int,
        "test_runs": int,
        "tokens": int,
        "cost": float,
        "seconds": float,
    },
    "episodes": {
        **_PLACE,
        "stage": str,
        "arm": str,
        "tree": str,
        "side": str,
        "number": int,
        "seed": str,
        "score": float,
    },
    "texts": {**_PLACE, "kind": str, "title": str, "body": str},
}
"""Table → its columns."""

VIEWS = {
    "readable": """
SELECT position, strftime('%Y-%m-%d %H:%M:%f', at, 'unixepoch') AS time, stream || '@' || version AS place,
       type, actor, payload
FROM events
""",
    "rounds": """
SELECT opened.lineage, opened.campaign, opened.round, opened.position,
       (SELECT avg(score) FROM episodes AS s
        WHERE (s.lineage, s.campaign, s.round) = (opened.lineage, opened.campaign, opened.round)
          AND s.stage = 'execute') AS head_scores,
       plan.surface, plan.title, verdict.decision, verdict.effect, verdict.low, verdict.high, verdict.p,
       plan.predicted,
       (SELECT sum(c.episodes) FROM costs AS c
        WHERE (c.lineage, c.campaign, c.round) = (opened.lineage, opened.campaign, opened.round)) AS episodes
FROM (
    SELECT substr(stream, 9) AS lineage, json_extract(payload, '$.campaign') AS campaign,
           json_extract(payload, '$.round') AS round, position
    FROM events WHERE type = 'RoundOpened'
) AS opened
LEFT JOIN verdicts AS verdict
    ON (verdict.lineage, verdict.campaign, verdict.round) = (opened.lineage, opened.campaign, opened.round)
    AND verdict.stage = 'confirm'
LEFT JOIN plans AS plan
    ON (plan.lineage, plan.campaign, plan.round) = (opened.lineage, opened.campaign, opened.round)
    AND plan.candidate = verdict.candidate
ORDER BY opened.position
""",
    "scores": """
SELECT e.position, e.lineage, e.campaign, e.round, e.stage, e.arm, e.tree, t.task, t.package, e.side,
       count(*) AS seeds, avg(e.score) AS score
FROM episodes AS e
JOIN tasks AS t
    ON (t.lineage, t.campaign, t.side, t.number) = (e.lineage, e.campaign, e.side, e.number)
GROUP BY e.position, e.stage, e.arm, e.number
""",
    "spending": """
SELECT lineage, campaign, stage, sum(episodes) AS episodes, sum(model_calls) AS model_calls,
       sum(test_runs) AS test_runs, sum(tokens) AS tokens, sum(cost) AS cost, sum(seconds) AS seconds
FROM costs GROUP BY lineage, campaign, stage
""",
}
"""View → its query: a round a line, a task's mean score in every arm, what each stage cost, events to be read."""
