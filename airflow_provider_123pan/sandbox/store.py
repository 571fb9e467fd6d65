"""What an account holds: directories and images in memory, the images' bytes in one temporary file."""

from __future__ import annotations

import itertools
import os
import random
import string
import tempfile
import time
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_provider_123pan.sandbox.envelope import NO_FILE, Refusal
from airflow_provider_123pan.sandbox.images import Picture

DEFAULT_DIRECTORY = "来自:离线下载"
LAST_PAGE = "-1"
HEALTHY = 2
REJECTED = 101

_ID_LETTERS = string.ascii_lowercase + string.digits


@dataclass(eq=False, slots=True)
class Entry:
    """What directories and images have in common.

    `number` is an alias of the opaque `file_id`; `order` is the place among its siblings, growing with the
    dates; before `visible_at` (monotonic) neither list nor detail shows it.
    """

    file_id: str
    number: int
    name: str
    parent: Directory | None
    created: float
    updated: float
    order: int
    visible_at: float

    def is_visible(self) -> bool:
        return self.visible_at <= time.monotonic()


@dataclass(eq=False, slots=True)
class Image(Entry):
    etag: str
    size: int
    media_type: str
    status: int = HEALTHY
    traffic: int = 0  # bytes served


@dataclass(eq=False, slots=True)
class Directory(Entry):
    orders: list[int] = field(default_factory=list)
    by_order: dict[int, Entry] = field(default_factory=dict)
    by_name: dict[str, Entry] = field(default_factory=dict)
    by_content: dict[tuple[str, int], Image] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        entry.parent = self
        insort(self.orders, entry.order)
        self.by_order[entry.order] = entry
        self.by_name[entry.name] = entry
        if isinstance(entry, Image):
            self.by_content[entry.etag, entry.size] = entry

    def remove(self, entry: Entry) -> None:
        del self.orders[bisect_left(self.orders, entry.order)]
        del self.by_order[entry.order]
        del self.by_name[entry.name]
        if isinstance(entry, Image) and self.by_content.get((entry.etag, entry.size)) is entry:
            del self.by_content[entry.etag, entry.size]

    def newest_first(self, before: int | None = None) -> Iterator[Entry]:
        stop = len(self.orders) if before is None else bisect_left(self.orders, before)
        return (self.by_order[self.orders[place]] for place in range(stop - 1, -1, -1))

    def free_name(self, name: str) -> str:
        """`name`, or where it is taken `name(1).ext`, `name(2).ext` …"""
        stem, dot, extension = name.rpartition(".")
        if not dot:
            stem, extension = name, ""
        names = (f"{stem}({count}){dot}{extension}" for count in itertools.count(1))
        return name if name not in self.by_name else next(name for name in names if name not in self.by_name)


class Tree:
    """One account's directories and images. The root's id is the empty string (official)."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self._numbers = itertools.count(100)
        now = time.time()
        self.root = Directory("", 0, "", None, now, now, 0, 0.0)
        self._entries: dict[str, Entry] = {}  # by file_id, and by the number as text
        self.images: dict[str, Image] = {}

    def entry(self, file_id: str) -> Entry:
        entry = self._entries.get(file_id)
        if entry is None or not entry.is_visible():
            raise Refusal("file does not exist", NO_FILE)
        return entry

    def directory(self, directory_id: str) -> Directory:
        entry = self._entries.get(directory_id) if directory_id else self.root
        if not isinstance(entry, Directory):
            raise Refusal(f"directory {directory_id} does not exist")
        return entry

    def default_directory(self) -> Directory:
        """Made by the first image that goes there."""
        found = self.root.by_name.get(DEFAULT_DIRECTORY)
        return found if isinstance(found, Directory) else self.make_directory(DEFAULT_DIRECTORY, self.root)

    def make_directory(self, name: str, parent: Directory) -> Directory:
        if name in parent.by_name:
            raise Refusal(f"a directory or file named {name} exists already")
        number, now = next(self._numbers), time.time()
        directory = Directory(_new_id(), number, name, parent, now, now, number, 0.0)
        self._enter(directory, parent)
        return directory

    def save(
        self,
        picture: Picture,
        name: str,
        directory: Directory,
        *,
        rename: bool,
        refresh: bool,
        status: int,
        visible_at: float,
    ) -> Image:
        """Store an image; one of equal etag and size in the directory is overwritten (official).

        What overwriting does to its name and its dates is undocumented, so the caller says it.
        """
        same = directory.by_content.get((picture.etag, len(picture.content)))
        if same is None:
            number, now = next(self._numbers), time.time()
            image = Image(
                *(_new_id(), number, directory.free_name(name), directory, now, now, number, visible_at),
                *(picture.etag, len(picture.content), picture.media_type, status),
            )
            self._enter(image, directory)
            self.images[image.file_id] = image
            return image
        directory.remove(same)
        same.status = status
        if rename:
            same.name = directory.free_name(name)
        if refresh:
            same.created = same.updated = time.time()
            same.order = next(self._numbers)
        directory.add(same)
        return same

    def move(self, entries: list[Entry], target: Directory) -> None:
        above: set[Entry] = set()
        directory: Directory | None = target
        while directory is not None:
            above.add(directory)
            directory = directory.parent
        if above.intersection(entries):
            raise Refusal("a directory cannot be moved into itself")
        for entry in entries:
            if entry.parent is not None and entry.parent is not target:
                entry.parent.remove(entry)
                entry.name = target.free_name(entry.name)
                target.add(entry)

    def delete(self, entry: Entry) -> None:
        if self._entries.pop(entry.file_id, None) is None:
            return  # went with its directory
        del self._entries[str(entry.number)]
        self.images.pop(entry.file_id, None)
        if entry.parent is not None:
            entry.parent.remove(entry)
        if isinstance(entry, Directory):
            for child in list(entry.by_order.values()):
                self.delete(child)

    def _enter(self, entry: Entry, directory: Directory) -> None:
        self._entries[entry.file_id] = self._entries[str(entry.number)] = entry
        directory.add(entry)


class Store:
    """The trees of all accounts and the bytes of all images."""

    def __init__(self) -> None:
        self.trees: dict[str, Tree] = {}
        self._bytes = tempfile.TemporaryFile()  # noqa: SIM115 (open until close())
        self._places: dict[str, tuple[int, int]] = {}  # etag → offset, size
        self._end = 0

    def tree(self, client_id: str) -> Tree:
        tree = self.trees.get(client_id)
        if tree is None:
            tree = self.trees[client_id] = Tree(1815309870 + len(self.trees))
        return tree

    def find_image(self, user_id: int, file_id: str) -> Image | None:
        """An image by what its public address says."""
        trees = (tree for tree in self.trees.values() if tree.user_id == user_id)
        return next((tree.images[file_id] for tree in trees if file_id in tree.images), None)

    def keep(self, picture: Picture) -> None:
        """Equal bytes are kept once."""
        if picture.etag not in self._places:
            size = len(picture.content)
            os.pwrite(self._bytes.fileno(), picture.content, self._end)
            self._places[picture.etag] = (self._end, size)
            self._end += size

    def content(self, image: Image) -> bytes:
        offset, size = self._places[image.etag]
        return os.pread(self._bytes.fileno(), size, offset)

    def close(self) -> None:
        self._bytes.close()


def _new_id() -> str:
    """Opaque ids as the official samples show them: `yk6baz03t0l000d7w33fbyq51l4izkne…`."""
    return "yk6baz03t0l000d7w3" + "".join(random.choices(_ID_LETTERS, k=30))
