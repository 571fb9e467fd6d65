"""Sphinx's configuration; ``make docs`` builds into ``build/docs``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Importing Airflow creates its home directory and reads its settings: give it an empty home.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="pan123-docs-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from airflow_provider_123pan import __version__  # noqa: E402

project = "airflow-provider-123pan"
author = "the contributors"
copyright = f"2026, {author}"  # noqa: A001
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "pan123_tables"]
exclude_patterns = ["_ext"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

maximum_signature_line_length = 80
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"show-inheritance": True}
# Only references into this package are checked: the build needs no network. The reference has no common base classes.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!airflow_provider_123pan\b).*"),
    (r"py:class", r"airflow_provider_123pan\.operators\.(sync_operator|selected_images)\..*"),
]

html_theme = "furo"
html_title = "airflow-provider-123pan"
html_static_path = ["_static"]
html_css_files = ["pan123.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False


def setup(app: Sphinx) -> None:
    """State the language of the Chinese pages in their HTML, for fonts, hyphenation and screen readers."""
    app.connect("html-page-context", _set_language)


def _set_language(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    if pagename.startswith("zh/"):
        context["language"] = "zh-CN"
