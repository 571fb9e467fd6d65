"""Opens files wherever Airflow's object storage reaches."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.urls import is_web_url

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?=.)")


def path_of(field: str, path: str) -> ObjectStoragePath:
    """Return the path that an argument names.

    :raises Pan123InputError: no installed provider can open it.
    """
    from airflow.sdk import ObjectStoragePath

    try:
        place = ObjectStoragePath(path)
        log.debug("%s: opened with %s", field, type(place.fs).__name__)
    except (ValueError, ImportError) as error:
        scheme = path.partition("://")[0]
        raise Pan123InputError(
            f"{field}: {scheme}:// cannot be opened; install the Airflow provider of this storage ({error})"
        ) from None
    return place


def is_path(url: str) -> bool:
    """Return whether a source URL is a path that an installed provider opens, such as ``s3://bucket/cat.png``."""
    found = _SCHEME.match(url)
    return found is not None and not is_web_url(url) and _opens(found[1])


@lru_cache(maxsize=64)
def _opens(scheme: str) -> bool:
    from airflow.sdk.io import has_fs

    if has_fs(scheme):
        return True
    try:  # a DAG file may have attached a storage of its own
        path_of("url", f"{scheme}://path")
    except Pan123InputError:
        return False
    return True
