"""How operators for many images end if too many have failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.exceptions import Pan123Error


def push(context: Context, found: Mapping[str, Any]) -> None:
    """Push the XComs of a task that fails, and so returns nothing."""
    for key, value in found.items():
        context["ti"].xcom_push(key, value)


def refuse_failures(
    context: Context,
    found: Mapping[str, Any],
    total: int,
    max_failures: int | str,
    *,
    error: type[Pan123Error],
    problem: str,
    shown: str,
    records: str | None = None,
) -> None:
    """Push the XComs and raise an error if more images have failed than ``max_failures`` allows.

    :param found: ``failed``, their number, perhaps ``suspect``, that of images that count as well, and ``failures``,
        the first of them.
    :param total: the number of images, of which ``max_failures`` may be a share.
    :param problem: what the failures have in common, such as ``failed``.
    :param shown: the key of a failure that says which image it is.
    :param records: the path of a file with all of them.
    """
    from airflow_provider_123pan.sync.options import allowance

    failed, suspect = found["failed"], found.get("suspect", 0)
    bad = failed + suspect
    if bad <= allowance(max_failures)(total):
        return
    push(context, found)
    if suspect:
        problem += f" and {suspect} are suspect"
    first = "; ".join(f"{each[shown]}: {each['reason']}" for each in found["failures"][:3])
    raise error(
        f"{failed} of {total} images {problem}, max_failures is {max_failures}: {first}{' …' if bad > 3 else ''}"
        + (f"; all are in {records}" if records else "")
    )
