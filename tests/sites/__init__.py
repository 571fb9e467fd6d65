"""Generated sites: pages as the users of seven tools write them, with the images that they show.

    site = generate("hexo", pages=1000, seed=7)
    site.write(folder)
    ...  # migrate it
    assert tree(folder) == site.expected(new_urls)

The same seed makes the same site. A page is written with a mark for each image, so that it can be shown with its old
URLs and with its new ones; everything else in it must stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.sites.authors import Author
from tests.sites.blogs import hexo, hugo, jekyll, vuepress
from tests.sites.others import html, obsidian, wordpress
from tests.sites.site import Site

__all__ = ["KINDS", "Site", "generate"]

#: What writes the pages of a kind of sites, with the number of pages.
KINDS: dict[str, Callable[[Author, int], None]] = {
    "hexo": hexo,
    "hugo": hugo,
    "vuepress": vuepress,
    "jekyll": jekyll,
    "obsidian": obsidian,
    "html": html,
    "wordpress": wordpress,
}


def generate(kind: str, pages: int, seed: int, own_images: Iterable[str] = ()) -> Site:
    """Return a site.

    :param own_images: URLs on the user's own image domain, which pages show as well.
    """
    author = Author(seed, [*own_images])
    KINDS[kind](author, pages)
    return author.site
