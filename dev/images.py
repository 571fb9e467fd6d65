"""Generated pictures of hills under a sun, in every format that 123pan accepts, and a server for them."""

from __future__ import annotations

import colorsys
import io
import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, LAYERS = 640, 400, 5
Colour = tuple[int, int, int]
Line = list[tuple[float, float]]

# The hue of the sky, from 0 to 1, by file name.
NAMES = {
    "sunrise.png": 0.02,
    "meadow.jpg": 0.30,
    "harvest.jpeg": 0.10,
    "sunset.gif": 0.96,
    "lagoon.webp": 0.50,
    "desert.bmp": 0.07,
    "glacier.tif": 0.56,
    "midnight.tiff": 0.66,
    "lavender.png": 0.75,
    "canyon.jpg": 0.04,
    "fjord.webp": 0.60,
    "ember.jpeg": 0.00,
    "aurora.png": 0.40,
    "hills.svg": 0.85,
}
CONTENT_TYPES = {
    "bmp": "image/bmp",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
}


def pictures() -> dict[str, bytes]:
    """Return the content of each picture by file name; it is always the same."""
    return {name: _picture(name, hue) for name, hue in NAMES.items()}


def _picture(name: str, hue: float) -> bytes:
    kind = name.rpartition(".")[2]
    if kind == "svg":
        return _svg(name, hue)
    buffer = io.BytesIO()
    if kind == "gif":  # the animated one
        frames = [_landscape(name, hue, sun=0.2 + 0.03 * step) for step in range(12)]
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=150, loop=0)
    else:
        pillow_name = {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())
        _landscape(name, hue).save(buffer, pillow_name)
    return buffer.getvalue()


def _colour(hue: float, saturation: float, lightness: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _sky(hue: float, height: float) -> Colour:
    """Return the colour at a height from 0, the dark top, to 1, the light and warm horizon."""
    return _colour(hue + 0.08 * (1 - height), 0.65, 0.35 + 0.5 * height)


def _hill(name: str, hue: float, layer: int) -> tuple[Line, Colour]:
    """Return the outline and the colour of a range of hills; the last layer is the nearest and darkest."""
    chance = random.Random(f"{name} {layer}")
    waves = [
        (chance.uniform(4, 26) / wave, chance.uniform(0.6, 1.6) * wave, chance.uniform(0, 7))
        for wave in (1, 2, 4)
    ]
    ground = HEIGHT * (0.5 + 0.11 * layer)
    outline = [
        (x, ground - sum(high * math.sin(often * x / 90 + start) for high, often, start in waves))
        for x in range(0, WIDTH + 8, 8)
    ]
    colour = _colour(hue + 0.03 * layer, 0.45, 0.55 - 0.1 * layer)
    return [(0.0, HEIGHT), *outline, (WIDTH, HEIGHT)], colour


def _landscape(name: str, hue: float, sun: float | None = None) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for row in range(HEIGHT):
        draw.line([(0, row), (WIDTH, row)], fill=_sky(hue, min(1, row / HEIGHT / 0.6)))
    chance = random.Random(name)
    x, y = WIDTH * chance.uniform(0.2, 0.8), HEIGHT * (chance.uniform(0.2, 0.4) if sun is None else sun)
    light = Image.new("L", image.size)
    for radius, strength in ((80, 90), (34, 255)):
        ImageDraw.Draw(light).ellipse((x - radius, y - radius, x + radius, y + radius), fill=strength)
        light = light.filter(ImageFilter.GaussianBlur(radius / 4 if radius > 40 else 1.5))
    image.paste(_colour(hue + 0.1, 0.9, 0.93), mask=light)
    for layer in range(LAYERS):
        outline, colour = _hill(name, hue, layer)
        draw.polygon(outline, fill=colour)
    return image


def _svg(name: str, hue: float) -> bytes:
    def css(colour: Colour) -> str:
        return f"rgb{colour}".replace(" ", "")

    hills = [_hill(name, hue, layer) for layer in range(LAYERS)]
    shapes = "\n".join(
        f'<polygon fill="{css(colour)}" points="{" ".join(f"{x:.0f},{y:.1f}" for x, y in outline)}"/>'
        for outline, colour in hills
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">
<linearGradient id="sky" x2="0" y2="1">
<stop stop-color="{css(_sky(hue, 0))}"/><stop offset=".6" stop-color="{css(_sky(hue, 1))}"/>
</linearGradient>
<rect width="100%" height="100%" fill="url(#sky)"/>
<circle cx="420" cy="120" r="36" fill="{css(_colour(hue + 0.1, 0.9, 0.93))}"/>
{shapes}
</svg>
""".encode()


@contextmanager
def serve(files: dict[str, bytes], *, referer: str | None = None) -> Iterator[str]:
    """Serve files by name, whatever the query, on a free port of 127.0.0.1, and yield the base URL.

    :param referer: requests with another Referer are answered 403; None: all are welcome.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].lstrip("/")
            content = files.get(name)
            status = 404 if content is None else 200
            if referer is not None and self.headers.get("Referer") != referer:
                status, content = 403, None
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPES.get(name.rpartition(".")[2], "text/plain"))
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            with suppress(ConnectionError):  # a browser leaves a page before all its images are loaded
                self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
