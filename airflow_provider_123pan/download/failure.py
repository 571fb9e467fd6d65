"""Completes the reason of a failed download that no callback explains."""

from __future__ import annotations

from airflow_provider_123pan.download.verdict import NO_REASON
from airflow_provider_123pan.source.probe import Finding, Prober


def completed_reason(reason: str, url: str | None, prober: Prober | None) -> str:
    """Return why a download failed; if the service did not say, with what the source answers to this worker.

    :param url: the source URL; None if it is unknown.
    :param prober: None: probing is turned off.
    """
    if reason != NO_REASON or url is None or prober is None:
        return reason
    return reason_with(prober.probe(url))


def reason_with(finding: Finding) -> str:
    """Return the reason of a failure that only a probe explains."""
    return f"{NO_REASON}; a probe by the worker: {finding.answer}"
