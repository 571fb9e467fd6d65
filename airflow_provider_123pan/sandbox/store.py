"""Directories and images of all accounts: kept in memory, and the images' bytes in one temporary file."""

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
from airflow_provider_123pan.sandbox.naming import Numbering, free_name

LAST_PAGE = "-1"
HEALTHY = 2
REJECTED = 101

_ID_LETTERS = string.ascii_lowercase + string.digits


@dataclass(eq=False, slots=True)
class Entry:
    """A directory or an image.

    :ivar file_id: The opaque id.
    :ivar number: A numeric alias of `file_id`.
    :ivar name: The file name; unique in its directory.
    :ivar parent: The directory that contains it, or None for the root.
    :ivar created: Time of creation in Unix seconds.
    :ivar updated: Time of the last change in Unix seconds.
    :ivar order: Position in its directory; newer entries have higher numbers.
    :ivar visible_at: When list and detail begin to show it, on the monotonic clock in seconds.
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
        """Return True if list and detail show the entry."""
        return self.visible_at <= time.monotonic()


@dataclass(eq=False, slots=True)
class Image(Entry):
    """A stored image.

    :ivar etag: The MD5 of its bytes, in hexadecimal digits.
    :ivar size: Its size in bytes.
    :ivar media_type: Its media type.
    :ivar status: `HEALTHY` or `REJECTED`.
    :ivar traffic: Number of bytes served.
    """

    etag: str
    size: int
    media_type: str
    status: int = HEALTHY
    traffic: int = 0


@dataclass(eq=False, slots=True)
class Directory(Entry):
    """A directory.

    :ivar orders: The `order` of each entry, ascending.
    :ivar by_order: The entries by `order`.
    :ivar by_name: The entries by name; only default directories share a name.
    :ivar by_content: The images by etag and size.
    """

    orders: list[int] = field(default_factory=list)
    by_order: dict[int, Entry] = field(default_factory=dict)
    by_name: dict[str, list[Entry]] = field(default_factory=dict)
    by_content: dict[tuple[str, int], Image] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Add an entry."""
        entry.parent = self
        insort(self.orders, entry.order)
        self.by_order[entry.order] = entry
        self.by_name.setdefault(entry.name, []).append(entry)
        if isinstance(entry, Image):
            self.by_content[entry.etag, entry.size] = entry

    def remove(self, entry: Entry) -> None:
        """Remove an entry of this directory."""
        del self.orders[bisect_left(self.orders, entry.order)]
        del self.by_order[entry.order]
        same_name = self.by_name[entry.name]
        same_name.remove(entry)
        if not same_name:
            del self.by_name[entry.name]
        if isinstance(entry, Image) and self.by_content.get((entry.etag, entry.size)) is entry:
            del self.by_content[entry.etag, entry.size]

    def newest_first(self, before: int | None = None) -> Iterator[Entry]:
        """Iterate over the entries whose `order` is less than `before`, or over all of them."""
        stop = len(self.orders) if before is None else bisect_left(self.orders, before)
        return (self.by_order[self.orders[place]] for place in range(stop - 1, -1, -1))


class Tree:
    """The directories and images of one account; the id of the root is an empty string (official).

    :ivar user_id: The account's number, which is part of image URLs.
    :ivar root: The root directory.
    :ivar images: All images by `file_id`, the oldest first.
    """

    def __init__(self, user_id: int) -> None:
        """Create an empty root directory."""
        self.user_id = user_id
        self._numbers = itertools.count(100)
        self._turns = itertools.count()  # which default directory is next
        now = time.time()
        self.root = Directory("", 0, "", None, now, now, 0, 0.0)
        self._entries: dict[str, Entry] = {}  # by file_id, and by number as a string
        self.images: dict[str, Image] = {}

    def entry(self, file_id: str) -> Entry:
        """Return a directory or an image.

        :param file_id: The opaque id, or the number as a string.
        :raises Refusal: It does not exist or is not visible yet.
        """
        entry = self._entries.get(file_id)
        if entry is None or not entry.is_visible():
            raise Refusal("file does not exist", NO_FILE)
        return entry

    def directory(self, directory_id: str) -> Directory:
        """Return a directory.

        :param directory_id: Its id; an empty string is the root.
        :raises Refusal: It does not exist.
        """
        entry = self._entries.get(directory_id) if directory_id else self.root
        if not isinstance(entry, Directory):
            raise Refusal(f"directory {directory_id} does not exist")
        return entry

    def default_directory(self, name: str, count: int) -> Directory:
        """Return the directory of the next image that is submitted without one.

        :param name: The name of default directories.
        :param count: Number of default directories, which take turns; missing ones are created.
        """
        found = [entry for entry in self.root.by_name.get(name, []) if isinstance(entry, Directory)]
        found += [self._new_directory(name, self.root) for _ in range(count - len(found))]
        return found[next(self._turns) % count]

    def make_directory(self, name: str, parent: Directory) -> Directory:
        """Create a directory.

        :raises Refusal: The name is taken.
        """
        if name in parent.by_name:
            raise Refusal(f"a directory or file named {name} already exists")
        return self._new_directory(name, parent)

    def _new_directory(self, name: str, parent: Directory) -> Directory:
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
        numbering: Numbering,
        rename: bool,
        refresh: bool,
        status: int,
        now: float,
        visible_at: float,
    ) -> Image:
        """Store an image; it overwrites an image of equal etag and size in the directory (official).

        What overwriting does to the name and the dates is undocumented, so the caller decides it.

        :param picture: The image's bytes and format.
        :param name: The wanted name; a number is added if it is taken.
        :param directory: Where to store the image.
        :param numbering: How a number is added to a name.
        :param rename: Whether an overwritten image gets the new name.
        :param refresh: Whether an overwritten image gets new dates.
        :param status: `HEALTHY` or `REJECTED`.
        :param now: The time in Unix seconds.
        :param visible_at: When list and detail begin to show a new image, on the monotonic clock in seconds.
        :returns: The new or overwritten image.
        """
        same = directory.by_content.get((picture.etag, len(picture.content)))
        if same is None:
            number = next(self._numbers)
            name = free_name(name, directory.by_name, numbering)
            image = Image(
                *(_new_id(), number, name, directory, now, now, number, visible_at),
                *(picture.etag, len(picture.content), picture.media_type, status),
            )
            self._enter(image, directory)
            self.images[image.file_id] = image
            return image
        directory.remove(same)
        same.status = status
        if rename:
            same.name = free_name(name, directory.by_name, numbering)
        if refresh:
            same.created = same.updated = now
            same.order = next(self._numbers)
        directory.add(same)
        return same

    def find_content(self, etag: str, size: int) -> Image | None:
        """Return an image with these bytes, or None."""
        return next(
            (image for image in self.images.values() if (image.etag, image.size) == (etag, size)), None
        )

    def move(self, entries: list[Entry], target: Directory, numbering: Numbering) -> None:
        """Move entries to a directory; a number is added to names that are taken there.

        :raises Refusal: The target is inside one of the entries; nothing is moved.
        """
        ancestors: set[Entry] = set()
        directory: Directory | None = target
        while directory is not None:
            ancestors.add(directory)
            directory = directory.parent
        if ancestors.intersection(entries):
            raise Refusal("a directory cannot be moved into itself")
        for entry in entries:
            if entry.parent is not None and entry.parent is not target:
                entry.parent.remove(entry)
                entry.name = free_name(entry.name, target.by_name, numbering)
                target.add(entry)

    def delete(self, entry: Entry) -> None:
        """Delete an entry, and with a directory all that it contains."""
        if self._entries.pop(entry.file_id, None) is None:
            return  # deleted with its directory
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
    """The trees of all accounts, and the bytes of all images.

    :ivar trees: The trees by clientID.
    """

    def __init__(self) -> None:
        """Open an empty temporary file."""
        self.trees: dict[str, Tree] = {}
        self._bytes = tempfile.TemporaryFile()  # noqa: SIM115 (open until close())
        self._places: dict[str, tuple[int, int]] = {}  # etag → offset and size in bytes
        self._end = 0

    def tree(self, client_id: str) -> Tree:
        """Return the tree of an account, creating it if necessary."""
        tree = self.trees.get(client_id)
        if tree is None:
            tree = self.trees[client_id] = Tree(1815309870 + len(self.trees))
        return tree

    def find_image(self, user_id: int, file_id: str) -> Image | None:
        """Return the image that an image URL names, or None."""
        trees = (tree for tree in self.trees.values() if tree.user_id == user_id)
        return next((tree.images[file_id] for tree in trees if file_id in tree.images), None)

    def keep(self, picture: Picture) -> None:
        """Write the bytes of an image to the file, unless it contains equal ones."""
        if picture.etag not in self._places:
            size = len(picture.content)
            os.pwrite(self._bytes.fileno(), picture.content, self._end)
            self._places[picture.etag] = (self._end, size)
            self._end += size

    def content(self, image: Image) -> bytes:
        """Return the bytes of an image."""
        offset, size = self._places[image.etag]
        return os.pread(self._bytes.fileno(), size, offset)

    def close(self) -> None:
        """Delete the file."""
        self._bytes.close()


def _new_id() -> str:
    """Return an opaque id like `yk6baz03t0l000d7w33fbyq51l4izkne…` in the official samples."""
    return "yk6baz03t0l000d7w3" + "".join(random.choices(_ID_LETTERS, k=30))
