"""Stores a picture that arrived, by the options about names, dates and equal content."""

from __future__ import annotations

import time

from airflow_provider_123pan.sandbox.images import Picture
from airflow_provider_123pan.sandbox.naming import stored_name
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import HEALTHY, Directory, Image, Store, Tree


def save_picture(
    options: Options,
    store: Store,
    tree: Tree,
    picture: Picture,
    wanted: str,
    directory: Directory,
    *,
    status: int = HEALTHY,
) -> Image:
    """Store a picture and return its image.

    :param tree: The tree that contains the directory.
    :param wanted: The name that the client wants.
    :param status: `HEALTHY` or `REJECTED`.
    """
    now = time.time() + options.clock_offset
    store.keep(picture)
    return tree.save(
        picture,
        stored_name(wanted, picture.etag, now, options.naming),
        directory,
        numbering=options.numbering,
        rename=options.same_etag == "rename",
        refresh=options.same_etag_dates == "refresh",
        status=status,
        now=now,
        visible_at=time.monotonic() + options.visible_after,
    )
