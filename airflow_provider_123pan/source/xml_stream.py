"""Reads XML as a stream, in any encoding, without what makes XML unsafe."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from xml.parsers import expat

from airflow_provider_123pan.exceptions import Pan123DocumentError
from airflow_provider_123pan.source.declared_encoding import HEAD_BYTES, xml_encoding

_MAX_DEPTH = 100
# A byte order mark and white space, which may precede the declaration here.
_BEFORE = "\ufeff \t\r\n"


class Element(NamedTuple):
    """An element, at its end.

    :ivar path: the names from the root to the element, in lower case and without prefixes.
    :ivar attributes: its attributes, with their prefixes.
    :ivar text: the text in it, without that of other elements in it.
    """

    path: tuple[str, ...]
    attributes: Mapping[str, str]
    text: str


def read_xml(blocks: Iterable[bytes], name: str) -> Iterator[Element]:
    """Yield the elements of a document, in the order of their ends.

    Prefixes are dropped and namespaces are not read, because the same one is spelled in many ways. External entities
    are not read, and a document that declares entities is refused: a short one could expand to gigabytes.

    :param blocks: the bytes of the document; white space may precede its declaration.
    :param name: the document's name in errors.
    :raises Pan123DocumentError: it is not well-formed, not in the encoding that it declares, or not safe to read.
    """
    reader = _Reader(name)
    try:
        for text in _decoded(iter(blocks)):
            yield from reader.feed(text)
        yield from reader.feed("", is_final=True)
    except expat.ExpatError as error:
        raise Pan123DocumentError(f"{name} is not well-formed XML: {error}") from None
    except (UnicodeError, LookupError) as error:
        raise Pan123DocumentError(f"{name} is not in the encoding that it declares: {error}") from None


def _decoded(blocks: Iterator[bytes]) -> Iterator[str]:
    """Yield the text of a document, from its first character that is no white space."""
    head = b""
    for block in blocks:
        head = (head + block).lstrip()
        if len(head) >= HEAD_BYTES:
            break
    decoder = codecs.getincrementaldecoder(xml_encoding(head[:HEAD_BYTES]))()
    yield decoder.decode(head).lstrip(_BEFORE)
    for block in blocks:
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


class _Reader:
    """Collects elements from the events of expat."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._path: list[str] = []
        self._attributes: list[dict[str, str]] = []
        self._texts: list[list[str]] = []
        self._ended: list[Element] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._refuse_entity

    def feed(self, text: str, *, is_final: bool = False) -> list[Element]:
        """Take the next text, and return the elements that end in it."""
        self._parser.Parse(text, is_final)
        ended, self._ended = self._ended, []
        return ended

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) == _MAX_DEPTH:
            raise Pan123DocumentError(f"{self._name} has elements nested more than {_MAX_DEPTH} levels deep")
        self._path.append(name.rpartition(":")[2].lower())
        self._attributes.append(attributes)
        self._texts.append([])

    def _end(self, name: str) -> None:
        self._ended.append(Element(tuple(self._path), self._attributes.pop(), "".join(self._texts.pop())))
        self._path.pop()

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _refuse_entity(self, *declaration: object) -> None:
        raise Pan123DocumentError(f"{self._name} declares entities, which are not read for safety")
