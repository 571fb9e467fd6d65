"""Render the description of a wheel as PyPI does, and fail if a link or an image in it leads nowhere there.

`make build` runs it as `python -m dev.description dist/*.whl`, and leaves the page in build/description.html.
"""

from __future__ import annotations

import sys
import zipfile
from email import message_from_bytes
from html.parser import HTMLParser
from pathlib import Path

from readme_renderer import markdown

PAGE = Path("build/description.html")


class Targets(HTMLParser):
    """Collects the targets of links and images.

    :ivar found: the targets in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the target of a link or an image."""
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def rendered(wheel: Path) -> str:
    """Return the HTML of a wheel's description."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    payload = metadata.get_payload(decode=True)
    assert isinstance(payload, bytes)
    html = markdown.render(payload.decode())
    if not html:
        sys.exit(f"{wheel}: the description is empty or cannot be rendered")
    return str(html)


def dead(html: str) -> list[str]:
    """Return the targets that PyPI cannot serve: all but absolute URLs and anchors."""
    targets = Targets()
    targets.feed(html)
    return [target for target in targets.found if not target.startswith(("https://", "#"))]


def main() -> None:
    """Render the description of the wheel that the command line names."""
    (wheel,) = map(Path, sys.argv[1:])
    html = rendered(wheel)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(html, encoding="utf-8")
    if targets := dead(html):
        sys.exit(f"{wheel}: the description has targets that PyPI cannot serve: {', '.join(targets)}")
    print(f"The description of {wheel} is in {PAGE}")


if __name__ == "__main__":
    main()
