"""The receiver's metrics, sent through Airflow's."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from airflow.observability.metrics import stats_utils
from airflow.observability.stats import Stats

log = logging.getLogger(__name__)

_stats: Any = Stats  # a class with a metaclass on 3.2, with static methods on 3.3


def start(mounted: bool) -> None:
    """Connect to the backend of ``[metrics]``. This call blocks.

    The API server of Airflow 3.3 and later has done so already.

    :param mounted: whether this process is Airflow's API server.
    """
    make: Any = stats_utils.get_stats_factory
    try:
        if inspect.signature(make).parameters:  # 3.2
            _stats.initialize(factory=make(Stats))
        elif not mounted:
            _stats.initialize(factory=make(), export_legacy_names=False)
        polls(0)  # the first metric of a process makes Airflow read a long list, which takes about a second
    except Exception:
        log.warning("The receiver sends no metrics", exc_info=True)


def count(what: str, number: int = 1) -> None:
    """Count deliveries: ``stored``, ``repeated`` or ``refused``."""
    _stats.incr(f"pan123.deliveries.{what}", number)


def polls(number: int) -> None:
    """Set the number of long polls that are open in this process."""
    _stats.gauge("pan123.polls.open", number)
