"""Replace the source URLs of images in pages by their image URLs, and find the images that pages show.

    addresses = new_addresses("s3://my-bucket/results.jsonl")
    page.write_text(rewrite(page.read_text(), addresses))

Only whole URLs are replaced: if ``a.jpg`` is known, ``a.jpg.webp`` and ``a.jpg?w=2`` stay as they are. URLs that are
spelled differently but mean the same image are equal, see
:func:`airflow_provider_123pan.source.urls.canonical_url`.
"""

from __future__ import annotations

from airflow_provider_123pan.rewriting.addresses import Addresses, new_addresses
from airflow_provider_123pan.rewriting.images import Context, FoundImage, find_broken_images, find_images
from airflow_provider_123pan.rewriting.replacing import replacements, rewrite
from airflow_provider_123pan.rewriting.serialized import Edit

__all__ = [
    "Addresses",
    "Context",
    "Edit",
    "FoundImage",
    "find_broken_images",
    "find_images",
    "new_addresses",
    "replacements",
    "rewrite",
]
