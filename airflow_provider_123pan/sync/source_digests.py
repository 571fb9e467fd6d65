"""Downloads the sources of images that do not appear, because equal bytes prove which file they are."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from airflow_provider_123pan.source.probe import Prober
from airflow_provider_123pan.sync.format_probes import PROBE_THREADS
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage


class SourceDigests:
    """Finds the MD5s of sources for one worker, each once.

    :param prober: None: nothing is downloaded.
    """

    def __init__(self, in_flight: InFlight, prober: Prober | None) -> None:
        self._in_flight = in_flight
        self._prober = prober
        self._threads = ThreadPoolExecutor(PROBE_THREADS, "pan123-digest")
        self._downloads: dict[Future[str | None], InFlightImage] = {}
        self._asked: set[int] = set()

    @property
    def downloads(self) -> int:
        """The number of downloads that have not been collected."""
        return len(self._downloads)

    def was_asked(self, pending: InFlightImage) -> bool:
        """Return whether the source of an image is not worth a download: it began before, or is not allowed."""
        return self._prober is None or pending.number in self._asked

    def ask(self, pending: InFlightImage, url: str) -> None:
        """Begin the download of an image in flight, unless it began before."""
        if self._prober is not None and not self.was_asked(pending):
            self._asked.add(pending.number)
            self._downloads[self._threads.submit(self._prober.md5, url)] = pending

    def collect(self) -> bool:
        """Note the MD5s that are known by now; return whether there are any new ones."""
        found = False
        for download in [each for each in self._downloads if each.done()]:
            pending = self._downloads.pop(download)
            if (md5 := download.result()) is not None:
                self._in_flight.add_md5(pending, md5)
                found = True
        return found

    def close(self) -> None:
        """End the threads; a running download ends within its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)
