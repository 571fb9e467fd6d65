"""Texts as WordPress stores them."""

from __future__ import annotations


def posts(first: str, second: str) -> list[str]:
    """Return the texts of two posts, of which one shows the images."""
    escaped = first.replace("/", "\\/")
    return [f'<!-- wp:image {{"url":"{escaped}"}} -->\n<img src="{first}" srcset="{second} 2x">', "没有图片"]


def php_string(text: str) -> str:
    """Return a text as PHP serializes it."""
    return f's:{len(text.encode())}:"{text}";'
