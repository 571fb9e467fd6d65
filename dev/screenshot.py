"""Take the screenshot of the connection form for the documentation: `make screenshot`."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from dev.browser import ConnectionForm, chromium, logged_in
from dev.cluster import Cluster


def main() -> None:
    """Write the screenshot to the path that the command line gives."""
    path = Path(sys.argv[1])
    executable = chromium()
    if executable is None:
        sys.exit(
            "No Chromium found: install the package chromium, or set CHROMIUM to the path of the browser"
        )
    with (
        tempfile.TemporaryDirectory(prefix="pan123-airflow-") as home,
        Cluster(home=Path(home)) as airflow,
        logged_in(airflow.url, executable=executable) as page,
    ):
        form = ConnectionForm(page, airflow.url, conn_id="pan123_default", conn_type="123pan")
        right = form.picture()
        form.section("Standard Fields")
        form.field("login").fill("your client ID")
        form.field("password").fill("your client secret")
        left = form.picture()
    path.parent.mkdir(parents=True, exist_ok=True)
    side_by_side(left, right).save(path, optimize=True)
    print(path)


def side_by_side(*pngs: bytes) -> Image.Image:
    """Join pictures of the form, which shows one section at a time."""
    parts = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    size = sum(part.width for part in parts), max(part.height for part in parts)
    whole = Image.new("RGB", size, "white")
    left = 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width
    return whole.quantize(256)


if __name__ == "__main__":
    main()
