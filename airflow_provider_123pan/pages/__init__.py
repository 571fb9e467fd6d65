"""Folders of pages: find their images, rewrite the pages, and undo that."""

from __future__ import annotations

from airflow_provider_123pan.pages.undoing import Undone, undo

__all__ = ["Undone", "undo"]
