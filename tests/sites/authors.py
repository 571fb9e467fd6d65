"""Writes URLs and texts as people and tools do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from tests.sites.site import Page, Planted, Site, image_mark, php_mark

#: Hosts of images, and one whose images are to stay.
HOSTS = ("img.example.com", "cdn.example.org", "mmbiz.qpic.cn", "user-images.example.net", "i0.wp.example")
EXCLUDED_HOST = "keep.example"
#: Bytes of a local image.
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(range(256))
_REPEATED = 0.15  # the share of images that an earlier place shows already
_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp", "PNG", "bmp", "svg", "tiff")
_NAMES = ("image", "IMG_2026", "screenshot--1", "cover", "a.b", "figure_2", "v1.2-final", "DSC00042")
_CHINESE = ("图片", "截图", "猫和狗", "北京", "微信图片")
_ENGLISH = ("the site moved", "to a new host", "and every image", "has to follow", "without a broken link")
_SENTENCES = (
    "今天我们来聊一聊博客的图床迁移问题。",
    "很多人把图片放在不同的网站上，时间一长链接就失效了。",
    "下面的截图展示了配置的过程，请注意其中的参数。",
    "如果你有更好的办法，欢迎在评论区告诉我！",
    "第一步是安装依赖，第二步是修改配置文件（见下图）。",
)


class _Url(NamedTuple):
    """A URL as it means, and as someone writes it."""

    canonical: str
    written: str


class Spelling(NamedTuple):
    """How a place of a page spells URLs.

    :ivar old: spells the URL that is there.
    :ivar new: spells a new URL, which has neither ampersands nor letters beyond ASCII.
    """

    old: Callable[[str], str] = str
    new: Callable[[str], str] = str


def _slashes(url: str) -> str:
    return url.replace("/", "\\/")


#: As it is.
PLAIN = Spelling()
#: In HTML and XML.
HTML = Spelling(escape)
#: In JSON that PHP writes.
PHP_JSON = Spelling(lambda url: _slashes(json.dumps(url)[1:-1]), _slashes)
#: In the comments of WordPress's editor, where JSON has neither ampersands nor two hyphens.
BLOCK_JSON = Spelling(lambda url: url.replace("&", "\\u0026").replace("--", "\\u002d\\u002d"))
#: In Markdown of editors that escape underscores.
ESCAPED = Spelling(lambda url: url.replace("_", "\\_"))
#: In JSON in an attribute.
JSON_IN_HTML = Spelling(lambda url: escape(json.dumps(url, ensure_ascii=False)[1:-1]))
#: In HTML in JSON in a script.
HTML_IN_JSON = Spelling(lambda url: escape(url).replace("&", "\\u0026"))


class Author:
    """Writes the pages of a site.

    :param own_images: URLs on the user's own image domain.
    """

    def __init__(self, seed: int, own_images: Sequence[str] = ()) -> None:
        self.random = random.Random(seed)
        self.site = Site()
        self._own_images = own_images
        self._planted: list[Planted] = []
        self._known: list[_Url] = []
        self._number = 0

    # -- pages --

    def page(self, path: str, text: str, encoding: str = "utf-8", newline: str = "\n") -> None:
        """Add a page whose text was written with :meth:`image` since the last page."""
        self.site.pages[path] = Page(text, encoding, newline, self._planted)
        self._planted = []

    def post(self, path: str, text: str, *, chinese: str | None = None) -> None:
        """Add a page in one of the encodings that there are.

        :param chinese: an encoding for some pages.
        """
        encodings = ["utf-8"] * 7 + ["utf-8-sig", chinese or "utf-8"]
        encoding = self.random.choice(encodings)
        self.page(path, text, encoding, "\r\n" if self.chance(0.2) else "\n")

    def file(self, path: str, content: bytes = PNG) -> None:
        """Add a file that is no page."""
        self.site.files[path] = content

    # -- images --

    def image(self, spelling: Spelling = PLAIN, *, relative: bool = False, blanks: bool = False) -> str:
        """Plant an image, and return what stands for it in the text.

        :param relative: it may have no scheme.
        :param blanks: it may contain blanks.
        """
        url = self._url(blanks)
        written = url.written
        if relative and written.startswith("https:") and self.chance(0.3):
            written = written.removeprefix("https:")
        return self._plant(Planted(url.canonical, spelling.old(written), spelling.new))

    def excluded_image(self) -> str:
        """Plant an image whose host is excluded, and return what stands for it."""
        self._number += 1
        return self._plant(Planted(None, f"https://{EXCLUDED_HOST}/{self._number}.png", str))

    def own_image(self) -> str:
        """Return an image that is where it belongs already."""
        return self.random.choice([*self._own_images, "https://vip.123pan.cn/1815309870/yk6baz03t0l000.png"])

    def _plant(self, planted: Planted) -> str:
        self._planted.append(planted)
        return image_mark(len(self._planted) - 1)

    def _url(self, blanks: bool) -> _Url:
        if self._known and self.chance(_REPEATED):
            known = self.random.choice(self._known)
            if blanks or " " not in known.written:
                return known
        self._number += 1
        url = self._new_url(blanks)
        self._known.append(url)
        return url

    def _new_url(self, blanks: bool) -> _Url:
        """Return one of the forms that URLs of images have."""
        number, host = self._number, self.random.choice(HOSTS)
        name, extension = self.random.choice(_NAMES), self.random.choice(_EXTENSIONS)
        path = f"/2026/{number % 12 + 1:02}/{name}-{number}.{extension}"
        if blanks and self.chance(0.5):
            written = f"https://{host}/Pasted image {number}.{extension}"
            return _Url(written.replace(" ", "%20"), written)
        match self.random.randrange(12):
            case 0:
                return _Url(f"https://{host}{path}", f"https://{host.upper()}:443{path}")
            case 1:
                written = f"/{self.random.choice(_CHINESE)}-{number}.{extension}"
                return _Url(f"https://{host}{quote(written)}", f"https://{host}{written}")
            case 2:
                encoded = f"https://{host}/{quote(self.random.choice(_CHINESE))}-{number}.{extension}"
                return _Url(encoded, encoded.replace("%E", "%e"))
            case 3:
                url = f"https://{host}{path}?x-oss-process=image/resize,w_{number}&v={number}"
                return _Url(url, url)
            case 4:
                url = f"https://mmbiz.qpic.cn/mmbiz_png/n8UW{number}/640?wx_fmt=png&from=appmsg"
                return _Url(url, url)
            case 5:
                # Of an SVG, the fragment selects a part.
                url = f"https://{host}{path}".replace(".svg", ".png")
                return _Url(url, f"{url}#averageHue=%23f9f8f7&id=u{number}")
            case 6:
                return _Url(f"http://{host}:8080{path}", f"http://{host}:8080{path}")
            case _:
                return _Url(f"https://{host}{path}", f"https://{host}{path}")

    # -- texts --

    def chance(self, share: float) -> bool:
        """Return True in a share of cases."""
        return self.random.random() < share

    def some(self, *parts: str | Callable[[], str]) -> str:
        """Return some of the parts in a random order, with paragraphs between them.

        :param parts: texts without images, or functions that write some with images.
        """
        chosen = self.random.sample(parts, self.random.randint(2, min(5, len(parts))))
        return "\n\n".join(
            f"{self.paragraph()}\n\n{part if isinstance(part, str) else part()}" for part in chosen
        )

    def paragraph(self) -> str:
        """Return a text."""
        if self.chance(0.3):
            return " ".join(self.random.choices(_ENGLISH, k=6)).capitalize() + "."
        return "".join(self.random.choices(_SENTENCES, k=4))

    def title(self) -> str:
        """Return a few words."""
        return f"{self.random.choice(_CHINESE)} {' '.join(self.random.choices(_ENGLISH, k=2))}"

    def markdown_decoy(self) -> str:
        """Return Markdown with URLs and images that must stay."""
        number = self.random.randrange(10_000)
        return self.random.choice(
            (
                f"[{self.title()}](https://blog.example.com/posts/{number}.html)",
                f"<https://www.example.com/images/{number}/>",
                f"[相册](https://img.example.com/albums/{number}) 和 https://github.com/example/image-{number}",
                f"![本地](/images/{number}.png) ![](./assets/{number}.jpg) ![](../img/图.gif)",
                "![](data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7)",
                f"![own]({self.own_image()})",
                f"![stays]({self.excluded_image()})",
                f"[下载](https://img.example.com/files/{number}.zip), [pdf](https://cdn.example.org/{number}.pdf)",
                f'<iframe src="https://player.example.com/embed/{number}"></iframe>',
                f"```bash\ncurl -O https://api.example.com/v1/images/{number}\n```",
                f"代理 https://images.example.cc/?url=https%3A%2F%2Fimg.example.com%2F{number}.png",
            )
        )

    def php_string(self, text: str) -> str:
        """Return a string as PHP serializes it."""
        return php_mark(text)
