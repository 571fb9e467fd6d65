"""Makes HTML of what the page shows: templates, languages, numbers, and the headers that protect it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timezone
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_provider_123pan import __version__
from airflow_provider_123pan.html_report import origin_of
from airflow_provider_123pan.web.messages import MESSAGES

#: The path of the page in Airflow's API server.
PREFIX = "/pan123-ui"
#: The media types of the files in ``static/``, which hold nothing that needs a login.
STATIC_FILES = {"page.css": "text/css", "page.js": "text/javascript"}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_CHART_HEIGHT = 120
_BAR_WIDTH = 28
_UNITS = ((86_400, "unit_days"), (3_600, "unit_hours"), (60, "unit_minutes"), (1, "unit_seconds"))


class Bar(NamedTuple):
    """A bar of the chart, in the units of the drawing.

    :ivar label: the number of images, not wider than the bar.
    """

    day: date
    images: int
    label: str
    x: int
    y: int
    height: int


class Words:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = MESSAGES[language]

    def __call__(self, key: str, **values: Any) -> str:
        """Return the words of a key, with values in it."""
        return self._words[key].format(**values) if values else self._words[key]

    def known(self, prefix: str, name: str) -> str:
        """Return the words of a name that comes from outside, or the name itself."""
        return self._words.get(f"{prefix}_{name}", name)

    def counted(self, key: str, number: int) -> str:
        """Return a number with what it counts."""
        what = self.known("count", key)
        if number == 1:
            what = self._words.get(f"count_{key}_one", what)
        return self("counted", number=_number(number), what=what)

    def duration(self, seconds: float) -> str:
        """Return a duration in its largest unit."""
        for length, key in _UNITS:
            if seconds >= length:
                return self(key, count=int(seconds // length))
        return self("unit_seconds", count=0)


def headers(image_urls: Iterable[str | None] = ()) -> dict[str, str]:
    """Return the headers of an answer.

    :param image_urls: the images that a page shows; it may load others of their hosts, and none of any other host.
    """
    hosts = sorted({host for url in image_urls if url and (host := origin_of(url))})
    policy = (
        f"default-src 'none'; img-src {' '.join(['data:', *hosts])}; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )
    return {"Content-Security-Policy": policy, **_HEADERS}


def html(name: str, language: str, root: str, **values: Any) -> bytes:
    """Return a page.

    :param name: of its template.
    :param root: the path of the page in Airflow's API server, with what is before it.
    """
    words = Words(language)
    text = _environment.get_template(name).render(
        t=words, root=root, airflow=root.removesuffix(PREFIX), version=__version__, **values
    )
    # A name may hold half a surrogate pair, which UTF-8 cannot hold.
    return text.encode("utf-8", "replace")


def static_file(name: str) -> bytes:
    """Return a file of ``static/``."""
    return (files(__package__) / "static" / name).read_bytes()


def bars(days: Sequence[tuple[date, int]]) -> list[Bar]:
    """Return the bars of the chart of images per day."""
    most = max((count for _, count in days), default=0) or 1
    found = []
    for number, (day, count) in enumerate(days):
        height = round(_CHART_HEIGHT * count / most) or (1 if count else 0)
        label = f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k"
        found.append(Bar(day, count, label, number * _BAR_WIDTH, _CHART_HEIGHT - height, height))
    return found


def _path(value: Any) -> str:
    """Return a value as one segment of a path."""
    return quote(str(value).encode("utf-8", "replace"), safe="")


def _query(values: Mapping[str, Any]) -> str:
    """Return a query string of the values that are there, with its question mark."""
    given = {
        name: str(value).encode("utf-8", "replace")
        for name, value in values.items()
        if value not in (None, "")
    }
    return f"?{urlencode(given)}" if given else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _time(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _web(url: Any) -> str | None:
    """Return a URL if a link may lead there."""
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else None


_environment = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "path": _path,
    "query": _query,
    "number": _number,
    "size": _size,
    "time": _time,
    "web": _web,
}
