"""Opens files wherever Airflow's object storage reaches."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_123pan.exceptions import Pan123InputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)


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
