"""Migrate images to 123pan's image host (123云盘图床) from Apache Airflow."""

from __future__ import annotations

__version__ = "0.2.0"
