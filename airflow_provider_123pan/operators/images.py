"""Operators that upload images, and for images that are on 123pan already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.links import PagesReportLink
from airflow_provider_123pan.operators.copy_from_drive import Pan123CopyFromDriveOperator
from airflow_provider_123pan.operators.failures import refuse_failures
from airflow_provider_123pan.operators.selected_images import SelectedImagesOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.check.run import CheckOptions
    from airflow_provider_123pan.sync.raw_entries import RawEntry
    from airflow_provider_123pan.verification.loading import LoadTiming

__all__ = [
    "Pan123CheckImagesOperator",
    "Pan123CopyFromDriveOperator",
    "Pan123DeleteImagesOperator",
    "Pan123MoveImagesOperator",
    "Pan123UploadImagesOperator",
]

_OF_LISTS = ("images", "manifest", "encoding", "fetch", "probe")


class Pan123UploadImagesOperator(Pan123SyncImagesOperator):
    """Upload the images of a folder, and of the folders below it, that Airflow's object storage can open.

    This is a sync: an image that is there already is not uploaded again, unless its size has changed. All arguments of
    :class:`~airflow_provider_123pan.operators.sync_images.Pan123SyncImagesOperator` but ``images``, ``manifest``,
    ``encoding``, ``fetch`` and ``probe`` mean the same here, and so does what it returns. ``directory`` or
    ``directory_id`` is required.

    :param source: a folder, such as ``s3://my-bucket/photos``; a pattern with ``*``, ``**``, ``?`` and ``[…]``; or a
        list of paths. Of a folder or a pattern, the files count whose names end as those of images do, with the formats
        of ``convert``. A path without a scheme is one of the worker's disk. (templated)
    """

    template_fields: Sequence[str] = (
        "source",
        *(name for name in Pan123SyncImagesOperator.template_fields if name not in ("images", "manifest")),
    )

    def __init__(self, *, source: Any, **kwargs: Any) -> None:
        if unexpected := [name for name in _OF_LISTS if name in kwargs]:
            raise TypeError(f"{unexpected[0]}: the worker uploads the images of source")
        super().__init__(fetch="worker", probe=False, **kwargs)
        self.source = source

    def _list(self) -> tuple[str, Iterator[RawEntry]]:
        from airflow_provider_123pan.source.convert import Converter
        from airflow_provider_123pan.sync.manifest import read_paths

        return read_paths(self.source, Converter.of(self.convert).targets)


class Pan123CheckImagesOperator(BaseOperator):
    """Check whether images are still served, such as every night.

    The images are those of a sync's results file, or all in a directory and below it. Directories are listed, 100
    images per call, and each image that is there is loaded once from its URL, on the user's own domain if there is one.
    Nothing is repeated, so each image costs at most one request.

    Returns, and pushes each key as a separate XCom: ``images``, ``healthy``, ``failed``, the number of images with each
    problem (``gone``, ``rejected`` by review, ``wrong_type``, ``wrong_content``, ``slow``, ``traffic_exceeded``,
    ``unreachable``), ``traffic`` (bytes served so far, by directory), ``report``, ``list`` (the JSON lines) and
    ``failures``, the first 20 (``url``, ``file_name``, ``problem``, ``reason``).

    :param results: the path of a results file, ``.jsonl`` or ``.csv``; its images are checked. Those that failed in the
        sync are left out. (templated)
    :param directory_id: the id of the directory that is listed; or
    :param directory: its path, such as ``photos/2026``. With ``results``, what it and the directories below it do not
        hold is gone; without, an image that no listing shows costs a call, which finds its directory. (both templated)
    :param verify: load images: ``address`` (status, type and length; the first 512 bytes), ``content`` (the MD5 of
        the whole image, which costs traffic), or None: only the listings are read.
    :param max_failures: the task fails if more images have a problem: a number, or a share such as ``"5%"``. Airflow
        does not retry it then. (templated)
    :param report: the path of an HTML file with thumbnails of the failures, beside which a ``.jsonl`` file is written,
        which a sync takes as its ``manifest``; by default none. (templated)
    :param requests_per_second: images that are loaded per second at most.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    template_fields: Sequence[str] = (
        "results",
        "directory_id",
        "directory",
        "max_failures",
        "report",
        "pan123_conn_id",
    )
    operator_extra_links = (PagesReportLink(),)
    #: None: the defaults, which a DAG file need not import.
    timing: ClassVar[LoadTiming | None] = None
    ui_color = "#fdf1d6"

    def __init__(
        self,
        *,
        results: str | None = None,
        directory_id: str | None = None,
        directory: str | None = None,
        verify: str | None = "address",
        max_failures: int | str = 0,
        report: str | None = None,
        requests_per_second: float = 10.0,
        pan123_conn_id: str = "pan123_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.results = results
        self.directory_id = directory_id
        self.directory = directory
        self.verify = verify
        self.max_failures = max_failures
        self.report = report
        self.requests_per_second = requests_per_second
        self.pan123_conn_id = pan123_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the images."""
        from airflow_provider_123pan.check.run import check_images
        from airflow_provider_123pan.exceptions import Pan123ImagesError
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.sync.options import allowance

        with failing_without_retry():
            allowance(self.max_failures)
            options = self._options(context)
            hook = Pan123Hook(self.pan123_conn_id)
            try:
                found = check_images(hook, options, self.timing)
            finally:
                hook.client.close()
            refuse_failures(
                context,
                found,
                found["images"],
                self.max_failures,
                error=Pan123ImagesError,
                problem="have a problem",
                shown="file_name",
            )
            return found

    def _options(self, context: Context) -> CheckOptions:
        from airflow_provider_123pan.check.run import CheckOptions
        from airflow_provider_123pan.html_report import check_report
        from airflow_provider_123pan.sync.directory import check_directory
        from airflow_provider_123pan.sync.options import check_verify
        from airflow_provider_123pan.sync.results import owner_of

        directory_id, names = check_directory(self.directory_id, self.directory)
        if self.results is None and self.directory is None and self.directory_id is None:
            raise Pan123InputError("results: give results, directory or directory_id")
        if self.report is not None:
            check_report(self.report)
        rate: Any = self.requests_per_second
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
            raise Pan123InputError(f"requests_per_second: {rate!r} is not a number above 0")
        return CheckOptions(
            results=self.results,
            directory_id=directory_id,
            names=names,
            verify=check_verify(self.verify),
            requests_per_second=float(rate),
            report=self.report,
            owner=owner_of(context),
        )


class Pan123MoveImagesOperator(SelectedImagesOperator):
    """Move stored images to another directory, 100 with each call.

    The images keep their ids and URLs. Those that are not there any more are left out, so a retry continues where an
    earlier try stopped.

    Returns, and pushes each key as a separate XCom: ``selected``, ``moved``, ``missing`` (numbers of images) and
    ``to_directory_id``.

    :param file_ids: the images' ids; or (templated)
    :param file_names: their names in ``directory`` or ``directory_id``; or (templated)
    :param results: the path of a sync's results file, ``.jsonl`` or ``.csv``; its images are moved, but for those that
        failed. (templated)
    :param directory_id: the id of the directory that holds them; or
    :param directory: its path, such as ``photos/2026``. Without names, all images in it are moved, but not those in
        directories below it. (both templated)
    :param to_directory_id: the id of the directory to which they are moved; or
    :param to_directory: its path; missing directories are made. (both templated)
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    template_fields: Sequence[str] = (
        *SelectedImagesOperator.template_fields,
        "to_directory_id",
        "to_directory",
    )
    ui_color = "#e6e2f5"

    def __init__(
        self, *, to_directory_id: str | None = None, to_directory: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.to_directory_id = to_directory_id
        self.to_directory = to_directory

    def execute(self, context: Context) -> dict[str, Any]:
        """Move the images."""
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.sync.directory import check_directory, ensure_directory

        with failing_without_retry():
            selection = self._selection()
            target, names = check_directory(self.to_directory_id, self.to_directory, "to_directory")
            if target is None and not names:
                raise Pan123InputError("to_directory: give to_directory or to_directory_id")
            hook = Pan123Hook(self.pan123_conn_id)
            with closing(hook.client):
                found = selection.find(hook)
                target_id = target or hook.run(ensure_directory(names))
                moved = found.act(hook, lambda file_ids: hook.move_images(file_ids, target_id))
            self.log.info(
                "Moved %d of %d images to the directory %s", moved, len(found), self.to_directory or target_id
            )
            return {
                "selected": len(found),
                "moved": moved,
                "missing": len(found) - moved,
                "to_directory_id": target_id,
            }


class Pan123DeleteImagesOperator(SelectedImagesOperator):
    """Delete stored images, 100 with each call. Their URLs stop working.

    Images that are not there any more are left out, so a retry continues where an earlier try stopped. An empty
    selection, a whole directory, and ids of directories are refused unless ``confirm`` is true.

    Returns, and pushes each key as a separate XCom: ``selected``, ``deleted`` and ``missing``, numbers of images.

    :param file_ids: the images' ids. Each costs a call that finds out whether it is a directory's, unless ``confirm``
        is true; or (templated)
    :param file_names: their names in ``directory`` or ``directory_id``; or (templated)
    :param results: the path of a sync's results file, ``.jsonl`` or ``.csv``; its images are deleted, also those that
        were there before the sync, but not those that failed. (templated)
    :param directory_id: the id of the directory that holds them; or
    :param directory: its path, such as ``photos/2026``. Without names, all images in it are deleted, but not those in
        directories below it. (both templated)
    :param confirm: accept an empty selection, a whole directory, and ids of directories, with which all is deleted that
        they contain.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    ui_color = "#f9dcdc"

    def __init__(self, *, confirm: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.confirm = confirm

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the images."""
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry

        with failing_without_retry():
            selection = self._selection()
            confirmed = self.confirm is True
            if selection.is_whole_directory and not confirmed:
                raise Pan123InputError(
                    "directory: this would delete all images in it; give file_names, or pass confirm=True"
                )
            hook = Pan123Hook(self.pan123_conn_id)
            with closing(hook.client):
                found = selection.find(hook)
                if not len(found) and not confirmed:
                    raise Pan123InputError(
                        f"{selection.field}: no image is selected; pass confirm=True if that is right"
                    )
                if selection.file_ids is not None and not confirmed:
                    found.refuse_directories(hook)
                deleted = found.act(hook, hook.delete_images)
            self.log.info("Deleted %d of %d images", deleted, len(found))
            return {"selected": len(found), "deleted": deleted, "missing": len(found) - deleted}
