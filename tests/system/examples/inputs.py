"""What the example DAGs read: lists, a bucket, pages, a Hugo site in a Git repository, notes, and results."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from airflow_provider_123pan.sync.result_record import ResultRecord
from dev.example_run import ExampleRun
from tests.system.canaries import signed, source_name

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
        xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
{pages}
</urlset>
"""
SITEMAP_PAGE = "<url><loc>{url}.html</loc><image:image><image:loc> {url} </image:loc></image:image></url>"


def sitemap(urls: Iterable[str]) -> bytes:
    """Return a sitemap with a page for each image."""
    return SITEMAP.format(pages="\n".join(SITEMAP_PAGE.format(url=url) for url in urls)).encode()


def manifest(host: str, pictures: Mapping[str, bytes]) -> bytes:
    """Return a list in CSV that names pictures of a host, with their sizes and MD5s."""
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(["url", "file_name", "size", "md5"])
    for name, content in pictures.items():
        md5 = hashlib.md5(content).hexdigest()
        rows.writerow([signed(f"{host}/{name}"), f"old-{name}", len(content), md5])
    return file.getvalue().encode()


def put_in_bucket(run: ExampleRun, files: dict[str, bytes], name: str, content: bytes) -> None:
    """Put an image into the bucket, where its public URL serves it."""
    path = run.folder / "bucket" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    files[f"public/{quote(name)}"] = content
    run.urls[f"{run.host}/public/{quote(name)}"] = content


def results_of_gone_images(urls: Iterable[str]) -> str:
    """Return the results of a sync whose images are not on 123pan any more, one line for each URL."""
    record = dict.fromkeys(ResultRecord._fields) | {"status": "migrated"}
    lines = [
        json.dumps(record | {"url": url, "fileID": f"gone-{number}", "file_name": source_name(url)})
        for number, url in enumerate(urls)
    ]
    return "\n".join(lines) + "\n"


def pages(first: str, second: str) -> dict[str, str]:
    """Return pages by name: two show images."""
    return {
        "index.md": f"# Bilder\r\n![a]({first})\r\n[![b]({second} 'b')]({first}.html)，{first}。\r\n",
        "blog/2026/post.html": f'<img src="{second}" srcset="{first} 1x, {second}?w=2 2x">',
        "notes.txt": first,
        "about.md": "没有图片",
    }


def blog_page(first: str, second: str) -> str:
    """Return a page in Markdown that shows two images."""
    return f"# Hills\n\n![a]({first} 'a') and <img src=\"{second}\">\n"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder, byte for byte as given."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


# --- a Hugo site -----------------------------------------------------------------------------------------


def hugo_site(first: str, second: str) -> dict[str, str]:
    """Return the files of a Hugo site by name: three show images, and two more are of a theme or built."""
    return {
        "hugo.toml": f'title = "Hills"\r\n[params]\r\nlogo = "{first}" # on every page\r\n',
        "content/posts/hills.md": f'---\ntitle: Hills\ncover: {second}\n---\n{{{{< figure src="{first}" >}}}}\n'
        f'\n![The hills]({second} "Hills") and [the page](https://example.com/hills.html)\n',
        "content/posts/words.md": "+++\ntitle = 'Words'\n+++\n没有图片\n",
        "data/gallery.json": f'[{{"src": "{first}"}}]'.replace("/", "\\/"),
        "themes/paper/layouts/index.html": f'<img src="{first}">',
        "public/index.html": f"<img src={second}>",
    }


class Repository:
    """A bare Git repository, as a server has it, and the clone of an author.

    :ivar folder: the folder with both.
    :ivar path: the folder of the repository.
    """

    def __init__(self, folder: Path) -> None:
        """Create the repository, whose branch `main` has no commit yet."""
        self.folder, self.path, self._clone = folder, folder / "repository.git", folder / "clone"
        git(folder, "init", "--quiet", "--bare", "--initial-branch", "main", str(self.path))
        git(folder, "clone", "--quiet", str(self.path), str(self._clone))
        git(self._clone, "switch", "--quiet", "--orphan", "main")

    def commit(self, files: Mapping[str, str]) -> None:
        """Commit files to `main`."""
        write_files(self._clone, files)
        git(self._clone, "add", "--all")
        git(self._clone, "commit", "--quiet", "--message", "A change by its author")
        git(self._clone, "push", "--quiet", "origin", "main")

    def merge(self, branch: str) -> None:
        """Merge a branch into `main`, as a pull request does."""
        git(self._clone, "pull", "--quiet", "--no-rebase", "--no-edit", "origin", branch)
        git(self._clone, "push", "--quiet", "origin", "main")

    def head(self) -> str:
        """Return the commit at the head of `main`."""
        return git(self.path, "rev-parse", "main").strip()

    def branches(self) -> list[str]:
        """Return the names of the branches in alphabetical order."""
        return git(self.path, "branch", "--format", "%(refname:short)").split()

    def changed(self, branch: str) -> dict[str, str]:
        """Return the files that differ from `main` in a branch, as they are there."""
        names = git(self.path, "diff", "--name-only", "main", branch).splitlines()
        return {name: git(self.path, "show", f"{branch}:{name}") for name in names}


def git(folder: Path, *arguments: str) -> str:
    """Run Git in a folder without the settings of this computer, and return what it prints."""
    who = {
        f"GIT_{role}_{key}": "author@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    }
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=env, check=True, capture_output=True
    ).stdout.decode()


# --- notes -----------------------------------------------------------------------------------------------


def notes(refused: str, first: str, second: str) -> dict[str, str]:
    """Return the files of a folder of Obsidian notes by name; two notes and a canvas show images.

    :param refused: the URL of an image in a format that 123pan does not take.
    """
    return {
        "Trip/Day 1.md": f"---\nbanner: {first}\n---\n![Hills|300]({second})\r\n![[{first}|100]] ![[local.png]]",
        "Trip/Day 2.md": f"![]({refused}) and https://example.com/hills.html",
        "Map.canvas": f'{{"nodes":[{{"id":"1","type":"link","url":"{second}"}}],"edges":[]}}',
        "List.txt": first,
        ".obsidian/workspace.json": f'{{"last": "{first}"}}',
    }
