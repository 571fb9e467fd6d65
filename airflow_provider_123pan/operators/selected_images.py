"""The arguments by which an operator selects stored images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_123pan.sync.image_selection import ImageSelection


class SelectedImagesOperator(BaseOperator):
    """Select stored images by their ids, by their names in a directory, or of a results file."""

    template_fields: Sequence[str] = (
        "file_ids",
        "file_names",
        "results",
        "directory_id",
        "directory",
        "pan123_conn_id",
    )

    def __init__(
        self,
        *,
        file_ids: Any = None,
        file_names: Any = None,
        results: str | None = None,
        directory_id: str | None = None,
        directory: str | None = None,
        pan123_conn_id: str = "pan123_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.file_ids = file_ids
        self.file_names = file_names
        self.results = results
        self.directory_id = directory_id
        self.directory = directory
        self.pan123_conn_id = pan123_conn_id

    def _selection(self) -> ImageSelection:
        from airflow_provider_123pan.sync.image_selection import ImageSelection

        return ImageSelection.of(
            self.file_ids, self.file_names, self.results, self.directory_id, self.directory
        )
