"""Objects of S3 as entries of a list: rows that have a bucket and a key in place of a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from mimetypes import guess_type
from typing import Any
from urllib.parse import quote, unquote_plus

from airflow_provider_123pan.sync.raw_entries import Columns, plain_name

# The ETag of an object that is encrypted in one of these ways is not its MD5 (official).
_ENCRYPTED = frozenset({"SSE-KMS", "DSSE-KMS", "SSE-C"})
_OBJECT_COLUMNS = frozenset({"bucket", "key", "islatest", "isdeletemarker", "encryptionstatus"})


def names_objects(names: Sequence[str]) -> bool:
    """Return whether columns name objects of S3."""
    return {"bucket", "key"} <= {*map(plain_name, names)}


def object_reader(
    names: Sequence[str], columns: Columns, *, encoded: bool
) -> Callable[[Sequence[Any]], Mapping[str, Any] | None]:
    """Return the function from a row's cells to the values of an entry.

    It returns None for what is no image of the bucket: folders, objects whose names show another kind of file, older
    versions, and marks of deleted objects.

    :param names: the columns, as an S3 Inventory calls them.
    :param columns: warns of those that are unknown.
    :param encoded: the keys are percent-encoded, as in CSV files of an inventory.
    """
    places = {plain_name(name): place for place, name in enumerate(names)}
    rest = [name for name in names if plain_name(name) not in _OBJECT_COLUMNS]
    known = {key: names.index(name) for key, name in columns.keys(rest).items()}

    def values(cells: Sequence[Any]) -> Mapping[str, Any] | None:
        found = {name: cells[place] for name, place in places.items() if name in _OBJECT_COLUMNS}
        key = unquote_plus(found["key"]) if encoded else found["key"]
        if _is_true(found.get("isdeletemarker", False)) or not _is_true(found.get("islatest", True)):
            return None
        if key.endswith("/") or not (guess_type(f"a/{key}")[0] or "image/").startswith("image/"):
            return None
        entry = {"url": object_url(found["bucket"], key)} | {name: cells[at] for name, at in known.items()}
        if found.get("encryptionstatus") in _ENCRYPTED:
            entry.pop("md5", None)
        return entry

    return values


def object_url(bucket: str, key: str) -> str:
    """Return the public URL of an object."""
    if "." in bucket:  # no certificate fits such a host
        return f"https://s3.amazonaws.com/{bucket}/{quote(key)}"
    return f"https://{bucket}.s3.amazonaws.com/{quote(key)}"


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"
