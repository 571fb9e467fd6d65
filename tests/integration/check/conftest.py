"""Checks of images in the sandbox, after syncs with short waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest


@pytest.fixture(autouse=True)
def _short(set_timing: Callable[..., None]) -> None:
    set_timing(
        trigger_check=(0.3, 0.5),
        idle_before_deferral=0.5,
        recheck=1.0,
        silent=(1.0, 3.0),
        settling=0.5,
        skew=timedelta(seconds=2),
    )
