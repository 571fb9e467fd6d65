"""Run a distributed Airflow under a steady load, and report whether anything grows: `make soak`.

A thousand waits are held all the time, batches of images come every 25 s, and requests as an open receiver gets them
every 50 ms; OpenLineage is on. Triggerers and API servers are watched. At the end all waits are released, and each must
have its image. `--control` runs Airflow's own deferrable sensor in the place of this provider's tasks.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from dev.signals import Ended, end_on
from tests.cluster.callers import Callers
from tests.cluster.soak_load import Load
from tests.cluster.soak_plot import plot
from tests.cluster.soak_report import Soak, report, samples
from tests.cluster.soak_results import blocked_warnings, lags, load_fact, stream_facts, within
from tests.cluster.watch import Watch

BATCH_EVERY_SECONDS = 25.0
REQUESTS_PER_SECOND = 20.0
MIN_SENT = 0.9  # the share of the planned requests
WARM_UP_SECONDS = 300.0
MIN_MINUTES = 5.0
WATCHED = ("triggerer-1", "triggerer-2", "api-server-1", "api-server-2")


def run(stack: ExitStack, home: Path, minutes: float, waits: int, control: bool) -> Soak:
    """Start everything, hold the load for some minutes, and release the waits."""
    load = Load(stack, home, minutes=minutes, waits=waits, control=control)
    services = load.airflow.services()
    watched = {name: services[name] for name in WATCHED}
    load.hold()
    load.start_probes()
    assigned = load.shares()
    with (
        Callers(REQUESTS_PER_SECOND, load.request) as stream,
        Watch(watched, load.database_port, load.client_ports) as watch,
    ):
        started, next_batch = time.time(), time.monotonic()
        while (left := started + 60 * minutes - time.time()) > 0:
            load.start_batch()
            next_batch += BATCH_EVERY_SECONDS
            time.sleep(max(0.0, min(next_batch - time.monotonic(), left)))
        ended, shares = time.time(), load.shares()
        waits_fact = f"{load.waits_fact()}, {' and '.join(map(str, shares))} in the triggerers"
        released_fact = load.release()
    released = time.time()
    failures = [*load.lost(), *(f"{name} was restarted" for name in sorted(watch.restarted))]
    if shares != assigned:
        failures.append(f"waits moved between triggerers: {assigned} at first, {shares} later")
    failures += [f"{kind}: {count} unexpected answers" for kind, count in stream.unexpected.items()]
    sent, planned = sum(stream.statuses.values()), REQUESTS_PER_SECOND * (released - started)
    if sent < MIN_SENT * planned:
        failures.append(f"only {sent} of {planned:.0f} requests were sent")
    probes = home / "lags"
    logs = {name: watched[name].log.read_text(errors="replace") for name in WATCHED if "triggerer" in name}
    facts = [
        waits_fact,
        *released_fact,
        load.batches_fact(),
        *stream_facts(stream),
        f"OpenLineage wrote {load.openlineage_events()} events to a file",
        f"Airflow's own warning that a triggerer's loop was blocked: {blocked_warnings(logs, started, ended)}",
        load_fact(within(watch.load, started, ended), os.cpu_count()),
    ]
    return Soak(
        f"Soak of {minutes:g} minutes{', control' if control else ''}",
        ended - started,
        min(WARM_UP_SECONDS, 15 * minutes),
        {name: within(samples, started, ended) for name, samples in watch.series.items()},
        lags(probes, WATCHED, watch.services_by_pid, started, ended),
        within(watch.load, started, ended),
        lags(probes, WATCHED, watch.services_by_pid, ended, released),
        facts,
        failures,
    )


def main() -> int:
    """Run, write the report and the plot, and return the exit code: 0 only if nothing grows, blocks or is lost."""
    parser = argparse.ArgumentParser("python -m tests.cluster.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="for which the load is held")
    parser.add_argument("--waits", type=int, default=1000, help="deferred all the time, at most 1000")
    parser.add_argument("--control", action="store_true", help="without this provider's tasks and callbacks")
    parser.add_argument(
        "--report", type=Path, default=Path("build/soak.md"), help="the Markdown file to write"
    )
    given = parser.parse_args()
    if given.minutes < MIN_MINUTES:
        parser.error(f"--minutes: at least {MIN_MINUTES:g}, for a trend")
    end_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    home = Path(tempfile.mkdtemp(prefix="pan123-soak-"))
    passed = False
    try:
        with ExitStack() as stack:
            found = run(stack, home, given.minutes, given.waits, given.control)
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text(report(found))
        given.report.with_suffix(".svg").write_text(plot(found))
        given.report.with_suffix(".csv").write_text(samples(found))
        print(report(found))
        passed = not found.problems()
    except Ended as ended:
        return ended.code
    finally:
        if passed:
            shutil.rmtree(home, ignore_errors=True)
        else:
            print(f"The logs are in {home}")
    print(f"The report is {given.report}; beside it are the plot (.svg) and the samples (.csv)")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
