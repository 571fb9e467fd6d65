"""Finds the digests of sources whose images do not appear, because equal bytes prove which file they are."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.source.probe import Prober
from airflow_provider_123pan.sync.format_probes import PROBE_THREADS
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage


class SourceDigests:
    """Finds the digests of sources for one worker.

    A source whose headers state its MD5 is downloaded only if the directory holds no image of that content.

    :param prober: None: no source is asked.
    """

    def __init__(self, in_flight: InFlight, prober: Prober | None) -> None:
        self._in_flight = in_flight
        self._prober = prober
        self._threads = ThreadPoolExecutor(PROBE_THREADS, "pan123-digest")
        self._requests: dict[Future[SourceDigest | None], InFlightImage] = {}
        self._asked: set[int] = set()  # the numbers of images whose source is asked, or has nothing to add
        self._stated_at: dict[int, float] = {}  # by number, in Unix seconds

    @property
    def requests(self) -> int:
        """The number of requests to sources that have not been collected."""
        return len(self._requests)

    def was_asked(self, pending: InFlightImage) -> bool:
        """Return whether the source of an image is not worth a request: it has had all, or gets none."""
        return self._prober is None or pending.number in self._asked

    def ask(self, pending: InFlightImage, url: str, scanned_at: float) -> None:
        """Ask the source of an image in flight for its digest, unless that has happened.

        :param scanned_at: when the last listing of everything began, in Unix seconds.
        """
        stated_at = self._stated_at.get(pending.number)
        if self._prober is None or self.was_asked(pending) or scanned_at < (stated_at or 0.0):
            return
        self._asked.add(pending.number)
        request = self._threads.submit(self._prober.digest, url, as_stated=stated_at is None)
        self._requests[request] = pending

    def collect(self, now: float) -> bool:
        """Note the digests that are known by now; return whether there are any new ones.

        :param now: Unix seconds.
        """
        found = False
        for request in [each for each in self._requests if each.done()]:
            pending = self._requests.pop(request)
            if (digest := request.result()) is not None:
                self._in_flight.add_digest(pending, digest)
                found = True
                if digest.size is not None:
                    self._stated_at[pending.number] = now
                    self._asked.discard(pending.number)
        return found

    def close(self) -> None:
        """End the threads; a running request ends within its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)
