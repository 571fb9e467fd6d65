"""New URLs by old URL, whatever the spelling of the old one."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_provider_123pan.rewriting.escapes import decode_entities, decodings
from airflow_provider_123pan.source.signatures import configured_parameters
from airflow_provider_123pan.source.urls import canonical_url
from airflow_provider_123pan.sync.results import read_results


class Addresses(dict[str, str]):
    """New URLs by old URL; a look-up by another spelling takes no longer the more URLs there are.

    The look-up is prepared when it is first used, and again when URLs were added or removed.
    """

    _prepared: tuple[int, tuple[str, ...], dict[str, str]] | None = None

    def find(self, spelled: str, is_relative: bool = False) -> str | None:
        """Return the new URL for an old one as a page spells it, with its escapes.

        :param is_relative: whether the spelling has no scheme.
        """
        for decoded in decodings(spelled):
            for url in (f"https:{decoded}", f"http:{decoded}") if is_relative else (decoded,):
                if (new := self.get(url) or self._find_canonical(url)) is not None:
                    return _with_part(new, url) if "#" in url else new
        return None

    def _find_canonical(self, url: str) -> str | None:
        prepared = self._prepared
        if prepared is None or prepared[0] != len(self):
            prepared = self._prepare()
        old = prepared[2].get(canonical_url(url, prepared[1]))
        return None if old is None else self.get(old)

    def _prepare(self) -> tuple[int, tuple[str, ...], dict[str, str]]:
        parameters = configured_parameters()
        old: dict[str, str] = {}
        # A list that was scraped from HTML may have its entities; the first spelling of an image counts.
        for spell in (str, decode_entities):
            for url in self:
                old.setdefault(canonical_url(spell(url), parameters), url)
        self._prepared = len(self), parameters, old
        return self._prepared


def new_addresses(results: str) -> dict[str, str]:
    """Return the image URL for every source URL in a results file whose image is stored.

    An image URL on the user's own domain is preferred.

    :param results: path or URL of the file that a sync wrote.
    """
    return Addresses((record.url, record.new_url) for record in read_results(results) if record.new_url)


def _with_part(new: str, old: str) -> str:
    """Return the new URL of an SVG with the part of the image that the old one selects (``icons.svg#cat``)."""
    _, _, part = old.partition("#")
    return f"{new}#{part}" if part and "#" not in new and urlsplit(new).path.endswith(".svg") else new
