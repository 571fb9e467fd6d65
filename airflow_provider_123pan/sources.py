"""Write lists of images for a sync, from where the images are shown or stored.

    manifest = from_sitemap("https://example.com/sitemap.xml", "s3://my-bucket/images.jsonl")

Each function writes a manifest, JSON lines for the sync operator's ``manifest``, and returns its path. The file is
written as a stream, and replaced as a whole or not at all. Call them in a task.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123PagesError
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.image_paths import absolute, find_images
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.sitemap import read_sitemap
from airflow_provider_123pan.source.urls import is_web_url
from airflow_provider_123pan.sync.atomic_file import write_file

log = logging.getLogger(__name__)


def from_sitemap(url: str, manifest: str, *, private_hosts: Iterable[str] = ()) -> str:
    """Write a manifest of the images that a website's sitemaps list with the image extension.

    :param url: of a sitemap, an index of sitemaps, or a ``robots.txt`` that names some; each may be compressed.
    :param manifest: the path of the manifest, which ends with ``.jsonl``.
    :param private_hosts: hosts that may be read although their addresses are not public. The host of ``url`` must be
        named as well, since it may come from the parameters of a run.
    :returns: ``manifest``.
    :raises Pan123InputError: a host, also of a redirect, has no public address and is not named.
    :raises Pan123DocumentError: one of the sitemaps cannot be read; the message names it.
    """
    from airflow_provider_123pan.source.addresses import Connector, check_private_hosts
    from airflow_provider_123pan.source.documents import Documents

    with Documents(Connector(check_private_hosts(private_hosts))) as documents:
        return _write(manifest, _entries(read_sitemap(url, documents.read)), redact_url(url))


def from_feed(url: str, manifest: str, *, private_hosts: Iterable[str] = ()) -> str:
    """Write a manifest of the images that a feed shows: in its content, as enclosures, and as its logo.

    :param url: of a feed in RSS or Atom; it may be compressed.
    :param manifest: the path of the manifest, which ends with ``.jsonl``.
    :param private_hosts: hosts that may be read although their addresses are not public. The host of ``url`` must be
        named as well, since it may come from the parameters of a run.
    :returns: ``manifest``.
    :raises Pan123InputError: a host, also of a redirect, has no public address and is not named.
    :raises Pan123DocumentError: the feed cannot be read; the message names it.
    """
    from airflow_provider_123pan.rewriting.feed import images_of_feed
    from airflow_provider_123pan.source.addresses import Connector, check_private_hosts
    from airflow_provider_123pan.source.documents import Documents

    with Documents(Connector(check_private_hosts(private_hosts))) as documents:
        images = images_of_feed(documents.read(url), redact_url(url))
        return _write(manifest, _entries(images), redact_url(url))


def from_bucket(bucket: str, base_url: str | None, manifest: str) -> str:
    """Write a manifest of the images in a bucket or a folder, and those below it, with their sizes.

    :param bucket: a path that Airflow's object storage opens.
    :param base_url: the public URL of ``bucket``, from which 123pan downloads the images itself; None if they are not
        public, so that the sync's worker reads and uploads them.
    :param manifest: the path of the manifest, which ends with ``.jsonl``.
    :returns: ``manifest``.
    :raises Pan123InputError: there is no such bucket or folder.
    """
    if base_url is not None and not is_web_url(base_url):
        raise Pan123InputError(f"base_url: {quoted(base_url)} must begin with http:// or https://")
    private = absolute(bucket).rstrip("/")

    def images() -> Iterator[dict[str, Any]]:
        for name, size in find_images("bucket", bucket):
            url = f"{private}/{name}" if base_url is None else f"{base_url.rstrip('/')}/{quote(name)}"
            yield {"url": url, "size": size}

    return _write(manifest, images(), bucket)


def from_pages(pages: str, manifest: str) -> str:
    """Write a manifest of the images that pages show, as :func:`~airflow_provider_123pan.rewriting.find_images` does.

    Pages are files in Markdown, MDX, HTML, reStructuredText, AsciiDoc, Org, CSS, JSON, YAML, TOML, XML and plain text,
    in any encoding. Hidden files and folders, symbolic links and binary files are left out, and so are images that
    123pan serves. A page that cannot be read is named in the log, and the others count.

    :param pages: the path of a folder, or of one page, that Airflow's object storage opens.
    :param manifest: the path of the manifest, which ends with ``.jsonl``.
    :returns: ``manifest``.
    :raises Pan123PagesError: none of the pages can be read.
    """
    from airflow_provider_123pan.pages.folder import PageFolder
    from airflow_provider_123pan.pages.page_images import PageImages
    from airflow_provider_123pan.pages.page_text import PageProblem, read_texts
    from airflow_provider_123pan.pages.selection import Selection

    folder, images = PageFolder(pages), PageImages(Selection(None))

    def entries() -> Iterator[dict[str, Any]]:
        read, failed = 0, 0
        for page in read_texts(folder):
            if isinstance(page, PageProblem):
                failed += 1
                log.error("The images of %s are missing: %s", page.name, page.reason)
            else:
                read += 1
                yield from ({**entry.values} for entry in images.of_page(page))
        if failed and not read:
            raise Pan123PagesError(
                f"none of the {failed} pages in {pages} can be read; the log has the reasons"
            )
        log.info("%d pages read in %s, %d could not be read", read, pages, failed)

    return _write(manifest, entries(), pages)


def _entries(urls: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield an entry for each URL, unless it is a path of the worker's storage: the author of a website names no file.

    Relative URLs and the like stay: the sync records them as invalid entries.
    """
    for url in urls:
        if "://" in url and not is_web_url(url):
            log.warning("%s is left out: it is not an http or https URL", redact_url(url))
        else:
            yield {"url": url}


def _write(manifest: str, entries: Iterable[dict[str, Any]], source: str) -> str:
    """Write a manifest, and return its path.

    :param source: where the entries come from, for the log.
    """
    if not manifest.endswith(".jsonl"):
        raise Pan123InputError(f"manifest: {manifest!r} must end with .jsonl")
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for count, entry in enumerate(entries, 1):  # noqa: B007
            yield json.dumps(entry) + "\n"

    write_file(path_of("manifest", manifest), lines(), uuid.uuid4().hex)
    log.log(
        logging.INFO if count else logging.WARNING, "%s: %d entries written to %s", source, count, manifest
    )
    return manifest
