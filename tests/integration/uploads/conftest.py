"""Images to upload, and a timing that does not make tests wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.upload import UploadTiming
from tests.integration.uploads.support import Storage, running_storage

FAST = UploadTiming(pauses=(0.0, 0.0, 0.0), verifying=0.01, first_poll=0.01, last_poll=0.01)


@pytest.fixture
def fast() -> UploadTiming:
    return FAST


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """Return a sandbox whose uploads end at once."""
    sandbox.configure(upload_end="at-once")
    return sandbox


@pytest.fixture
def storage() -> Iterator[Storage]:
    """Return a storage whose answers the test chooses."""
    with running_storage() as storage:
        yield storage
