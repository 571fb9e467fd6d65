"""The operator that brings a directory of the image host in line with a list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from airflow_provider_123pan.links import Pan123ResultsLink
from airflow_provider_123pan.operators.offline_download import seconds
from airflow_provider_123pan.operators.sync_operator import DIRECTORIES, SyncOperator
from airflow_provider_123pan.source.masking import MaskedHeaders

__all__ = ["DIRECTORIES", "Pan123SyncImagesOperator"]

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink


class Pan123SyncImagesOperator(SyncOperator):
    """Bring a directory in line with a list of images: submit what is missing, and wait for it.

    An image whose name is there already is not submitted. So a second run costs one listing, a run that was killed
    continues, and an image that was deleted comes back. With ``deferrable`` no worker is occupied by the wait.

    Returns, and pushes each key as a separate XCom: ``total``, ``present``, ``migrated``, ``suspect``, ``failed``,
    ``directory_id``, ``results`` and ``failures``, the first 20 that failed or are suspect (``url``, ``file_name``,
    ``reason``). The XCom ``progress`` shows the progress of a running task. On success an asset event for
    ``pan123://<connection>/<directory>``, by the alias ``pan123_directories``, carries the counts as its extra.

    :param images: URLs, or dicts with ``url`` and optionally ``file_name``, ``size`` (bytes) and ``md5`` (hex or
        base64). (templated)
    :param manifest: instead, a file that Airflow's object storage can open: ``.txt`` (one URL per line), ``.csv``
        (header ``url[,file_name][,size][,md5]``), ``.jsonl`` (the same keys), ``.tsv`` (``TsvHttpData-1.0``), each
        also with ``.gz``, ``.parquet``, or the ``manifest.json`` of an S3 Inventory. (templated)
    :param directory_id: the directory's id; or
    :param directory: its path, such as ``photos/2026``; missing directories are made. Without both, the default
        directory ``来自:离线下载``. (both templated)
    :param results: a path for one record per source URL, ``.jsonl`` or ``.csv``: ``url``, ``file_name``, ``status``
        (``present``, ``migrated``, ``suspect``, ``failed``), ``taskID``, ``fileID``, ``download_url``, ``user_url``,
        ``etag``, ``size``, ``reason``, ``fetched_by``. (templated)
    :param name: names the images that the list does not name: a format string of ``{stem}`` (the last part of the
        URL), ``{digest}`` (of the URL), ``{host}``, ``{path}`` and ``{ext}``; by default
        ``{stem}-{digest}.{ext}``. (templated)
    :param keep_tree: images keep the directories of their source paths, below the target directory.
    :param on_invalid: ``record`` an invalid entry as a failed image, or ``fail`` before anything is submitted.
    :param probe: the worker may probe sources: for the format of an image whose URL shows none, before it is submitted,
        and for the reason of a failure that no callback explains.
    :param private_hosts: hosts to which the worker may connect although their addresses are not public. (templated)
    :param fetch: who fetches the images: ``service``; ``worker``, which uploads them; or ``auto``, the worker what the
        service fails. Paths such as ``s3://…`` and ``file:///…`` as URLs of the list are for the worker in any case.
    :param fetch_headers: for patterns of hosts the headers that the worker sends, such as
        ``{"*.example.com": {"Referer": "…"}}``. (templated)
    :param fetch_conn_ids: for patterns of hosts an HTTP connection whose login, token or headers it sends. (templated)
    :param max_uploads: images that the worker fetches and uploads at once, from 1 to 8.
    :param convert: for formats what the worker converts them to, such as ``{"avif": "webp", "heic": "jpeg"}``; needs
        the extra ``[convert]``, and ``fetch="auto"`` or ``"worker"``.
    :param verify: load each image from its new URL before it counts as there: ``address`` (status, type and length),
        ``content`` (also its MD5), or None. One that fails is a failed image, which the next run does not submit again.
    :param allow_equal: accept equal images. By default, 5 or more images of a host that have the same bytes, and are at
        least a fifth of its images on the list, are suspect: the host may have sent a placeholder. With
        ``fetch="auto"`` the worker fetches them again.
    :param allow_empty: a list without entries is no error.
    :param encoding: of a text manifest, such as ``gb18030``; by default UTF-8.
    :param if_exists: ``skip`` what is there, unless its size or MD5 is given and differs; or ``overwrite`` all.
    :param max_active: the most offline tasks at once, up to 1,000; the limit of the service is found.
    :param max_failures: the task fails if more images fail or are suspect: a number, or a share such as ``"5%"``.
        (templated)
    :param use_callback: have 123pan call back; by default, if the connection has a ``callback_base_url``.
    :param deferrable: wait in the triggerer.
    :param timeout: seconds for each try, its waits included.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    template_fields: Sequence[str] = (
        "images",
        "manifest",
        "directory_id",
        "directory",
        "results",
        "name",
        "private_hosts",
        "fetch_headers",
        "fetch_conn_ids",
        "max_failures",
        "pan123_conn_id",
    )
    operator_extra_links: Collection[BaseOperatorLink] = (Pan123ResultsLink(),)
    fetch_headers = MaskedHeaders()

    def __init__(
        self,
        *,
        images: Any = None,
        manifest: str | None = None,
        directory_id: str | None = None,
        directory: str | None = None,
        results: str | None = None,
        if_exists: str = "skip",
        on_invalid: str = "record",
        probe: bool = True,
        private_hosts: Sequence[str] = (),
        fetch: str = "service",
        fetch_headers: Mapping[str, Mapping[str, str]] | None = None,
        fetch_conn_ids: Mapping[str, str] | None = None,
        max_uploads: int = 4,
        convert: Mapping[str, str] | None = None,
        verify: str | None = None,
        allow_equal: bool = False,
        allow_empty: bool = False,
        encoding: str | None = None,
        name: str | None = None,
        keep_tree: bool = False,
        max_active: int | None = None,
        max_failures: int | str = 0,
        use_callback: bool | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = 7 * 24 * 60 * 60.0,
        pan123_conn_id: str = "pan123_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.images = images
        self.manifest = manifest
        self.directory_id = directory_id
        self.directory = directory
        self.results = results
        self.if_exists = if_exists
        self.on_invalid = on_invalid
        self.probe = probe
        self.private_hosts = private_hosts
        self.fetch = fetch
        self.fetch_headers = fetch_headers
        self.fetch_conn_ids = fetch_conn_ids
        self.max_uploads = max_uploads
        self.convert = convert
        self.verify = verify
        self.allow_equal = allow_equal
        self.allow_empty = allow_empty
        self.encoding = encoding
        self.name = name
        self.keep_tree = keep_tree
        self.max_active = max_active
        self.max_failures = max_failures
        self.use_callback = use_callback
        self.deferrable = deferrable
        self.timeout = seconds("timeout", timeout)
        self.pan123_conn_id = pan123_conn_id
