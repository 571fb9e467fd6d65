"""Names images that the user does not name: unique, and the same in every run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from string import Formatter
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.formats import format_of
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.rules import (
    EXTENSIONS,
    MAX_NAME_LENGTH,
    OTHER_FORMATS,
    RESERVED_CHARACTERS,
    refused_format,
)
from airflow_provider_123pan.source.urls import canonical_url, is_web_url

#: Query parameters that name the image's format if the path does not (``wx_fmt=png``, ``format=image/webp``).
FORMAT_PARAMETERS = ("wx_fmt", "format", "fmt", "fm", "ext")
DEFAULT_TEMPLATE = "{stem}-{digest}.{ext}"
FIELDS = ("stem", "digest", "host", "path", "ext")

DIGEST = 12  # characters of base32: 60 bits keep a million images of one name apart
_LONGEST_STEM = 80
_LONGEST_PATH = 160
_LONGEST_EXTENSION = max(map(len, EXTENSIONS))


def digest(text: str) -> str:
    """Return a digest of 12 characters that is safe in URLs and file names."""
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(hashed[:10])[:DIGEST].decode().lower()


@dataclass(frozen=True, slots=True)
class Naming:
    """The rules by which names are derived from source URLs.

    :ivar template: a format string of FIELDS that ends with ``.{ext}``.
    :ivar keep_tree: images keep the directories of their source paths.
    :ivar signature_parameters: patterns of query parameters that sign a URL, besides those of known signers.
    :ivar needs_format: an http or https URL that shows no format gets no name. Otherwise its name ends with the dot,
        until a probe, or the image's bytes, show the extension.
    :ivar targets: for the formats that the worker converts, the extensions of what they become.
    """

    template: str = DEFAULT_TEMPLATE
    keep_tree: bool = False
    signature_parameters: tuple[str, ...] = ()
    needs_format: bool = True
    targets: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the template.

        :raises Pan123InputError: it is not a format string of these fields.
        """
        if "/" in self.template:
            raise Pan123InputError(
                f"name: {quoted(self.template)} must be a plain name; the directory goes into directory"
            )
        try:
            parts = [*Formatter().parse(self.template)]
        except ValueError as error:
            raise Pan123InputError(f"name: {quoted(self.template)} cannot be read: {error}") from None
        for _, given, spec, conversion in parts:
            if given is not None and (given not in FIELDS or spec or conversion):
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise Pan123InputError(f"name: {quoted(given)} is unknown; the fields are {known}")
        if not self.template.endswith(".{ext}"):
            raise Pan123InputError(
                f"name: {quoted(self.template)} must end with .{{ext}}; the service takes no other names"
            )

    def canonical(self, url: str) -> str:
        """Return the canonical form of a source URL."""
        return _canonical_url(url, self.signature_parameters)

    def folder(self, url: str) -> str:
        """Return the directories of a source path, such as ``2026/11``, or an empty string."""
        if not self.keep_tree:
            return ""
        return folder_of(_host_and_path(url)[1].split("/")[:-1])

    def target(self, extension: str) -> str | None:
        """Return the extension of what an image with this extension becomes, or None if it is not converted."""
        return self.targets.get(format_of(extension)) if self.targets else None

    def target_of(self, url: str, file_name: object) -> str | None:
        """Return the extension of what an image becomes by what its name, or else its URL, shows; None: it stays.

        :param file_name: as the list gives it.
        """
        if not self.targets:
            return None
        if isinstance(file_name, str) and (target := self.target(file_name.strip().rpartition(".")[2])):
            return target
        try:
            return self.target(self._split(url)[2])
        except Pan123InputError:
            return None

    def derive(self, url: str) -> str:
        """Return a name for the image of a source URL; by default the last part of the URL and a digest of the whole.

        :raises Pan123InputError: the URL shows no format, or one that the service does not take, or the template makes
            the name too long.
        """
        host, path, extension = self._split(url)
        if not extension and self.needs_format and is_web_url(url):
            raise Pan123InputError("file_name: the URL shows no image extension; give a name that has one")
        stem = _plain(path.rpartition("/")[2][:_LONGEST_STEM])
        extension = self.target(extension) or extension
        if self.template == DEFAULT_TEMPLATE:  # which nearly every list has
            return f"{stem}-{digest(self.canonical(url))}.{extension}"
        name = self.template.format_map(
            {
                "stem": stem,
                "digest": digest(self.canonical(url)),
                "host": _plain(host),
                "path": _plain(path[-_LONGEST_PATH:].strip("/")),
                "ext": extension,
            }
        )
        if len(name) > MAX_NAME_LENGTH - (0 if extension else _LONGEST_EXTENSION):
            raise Pan123InputError(
                f"name: the name has {len(name)} characters, at most {MAX_NAME_LENGTH} are allowed"
            )
        return name

    def _split(self, url: str) -> tuple[str, str, str]:
        """Return the host of a source URL, its path without an extension, and the extension that it shows, or none.

        :raises Pan123InputError: the extension is of a format that 123pan does not take.
        """
        host, path = _host_and_path(url)
        path = path.rstrip("/")
        stem, _, extension = path.rpartition("/")[2].rpartition(".")
        if stem and (extension.lower() in EXTENSIONS or self.target(extension)):
            return host, path[: -len(extension) - 1], extension
        if stem and extension.lower() in OTHER_FORMATS:
            raise Pan123InputError(f"url: {refused_format(extension.lower())}")
        return host, path, self._parameter(urlsplit(url)) if is_web_url(url) else ""

    def _parameter(self, parts: SplitResult) -> str:
        """Return the extension that the query of a URL shows, or an empty string."""
        parameters = {name.lower(): value for name, value in parse_qsl(parts.query)}
        for name in FORMAT_PARAMETERS:
            extension = parameters.get(name, "").lower().rpartition("/")[2]
            if extension in EXTENSIONS or self.target(extension):
                return extension
        return ""


def _host_and_path(url: str) -> tuple[str, str]:
    """Return the host and the path of a source URL, decoded; the characters of a storage's path mean themselves."""
    if is_web_url(url):
        parts = urlsplit(url)
        return parts.hostname or "", unquote(parts.path)
    host, slash, path = url.partition("://")[2].partition("/")
    return host.rpartition("@")[2], slash + path


def folder_of(names: Iterable[str]) -> str:
    """Return a path of directories; characters that names cannot have are replaced, and ``.`` and ``..`` left out."""
    return "/".join(_plain(name[:MAX_NAME_LENGTH]) for name in names if name.strip(" ."))


@lru_cache(maxsize=16)  # an entry's name and the list's digest both need it
def _canonical_url(url: str, signature_parameters: tuple[str, ...]) -> str:
    return canonical_url(url, signature_parameters)


def lacks_format(file_name: str) -> bool:
    """Return whether a derived name still needs the extension that a probe finds."""
    return file_name.endswith(".")


def _plain(text: str) -> str:
    """Return a text as a part of a name: without characters that names cannot have, and not empty."""
    plain = "".join(
        "_" if character in RESERVED_CHARACTERS or not character.isprintable() else character
        for character in text
    )
    return plain.strip(" .") or "image"
