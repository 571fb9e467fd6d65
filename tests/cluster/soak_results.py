"""What probes, logs and streams left, as parts of the report."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tests.cluster.callers import Callers
from tests.cluster.loop_lags import Lag
from tests.cluster.trends import Sample

BLOCKED = re.compile(r"^(\S{19})\S*Z .*Triggerer's async thread was blocked", re.MULTILINE)


def within(samples: Sequence[Sample], start: float, end: float) -> list[Sample]:
    """Return the samples of a time."""
    return [sample for sample in samples if start <= sample[0] <= end]


def lags(
    folder: Path, services: Sequence[str], services_by_pid: Mapping[int, str], start: float, end: float
) -> dict[str, list[Lag]]:
    """Read what the probes of the services wrote, by service."""
    found: dict[str, list[Lag]] = {service: [] for service in services}
    for path in folder.glob("*.jsonl"):
        service = services_by_pid.get(int(path.stem))
        if service is None:
            continue
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if start <= record["at"] <= end:
                pairs = zip(record["lags"], record["cpu_waits"], strict=True)
                found[service] += [Lag(record["at"], *pair) for pair in pairs]
    return found


def stream_facts(callers: Callers) -> list[str]:
    """Return how many requests of each kind got which status."""
    kinds = sorted({kind for kind, _ in callers.statuses})
    counts = {
        kind: {status: count for (name, status), count in sorted(callers.statuses.items()) if name == kind}
        for kind in kinds
    }
    return [
        f"{sum(found.values())} requests, {kind}: "
        + ", ".join(f"{count} × {status or 'no answer'}" for status, count in found.items())
        for kind, found in counts.items()
    ]


def blocked_warnings(logs: Mapping[str, str], start: float, end: float) -> str:
    """Return how often Airflow warned about each triggerer, from the text of its log."""
    counts = {
        name: sum(
            start <= datetime.fromisoformat(f"{at}+00:00").timestamp() <= end for at in BLOCKED.findall(log)
        )
        for name, log in logs.items()
    }
    return ", ".join(f"{count} × {name}" for name, count in counts.items())


def load_fact(load: Sequence[Sample], cores: int | None) -> str:
    """Return how busy the machine was."""
    values = [value for _, value in load]
    mean, low, high = statistics.fmean(values), min(values), max(values)
    return f"load of the machine: mean {mean:.1f}, from {low:.1f} to {high:.1f}, on {cores} cores"
