"""Decides which calls fail: scripted answers, and the gateway in front of the service."""

from __future__ import annotations

import random

from airflow_provider_123pan.sandbox.answers import ScriptedAnswer
from airflow_provider_123pan.sandbox.options import Options

_FAULT_OPTIONS = frozenset({"answers", "gateway", "gateway_times", "gateway_share"})


class Faults:
    """The scripted answers and the failing gateway, and how often each was used."""

    def __init__(self, options: Options) -> None:
        """Count from zero.

        :param options: The sandbox's options, read at each call.
        """
        self._options = options
        self._used: list[int] = []
        self._gateway_used = 0
        self.restart()

    def restart(self) -> None:
        """Count from zero again."""
        self._used = [0] * len(self._options.answers)
        self._gateway_used = 0

    def options_changed(self, names: set[str]) -> None:
        """Restart if one of the changed options concerns faults.

        :param names: Names of the changed options.
        """
        if names & _FAULT_OPTIONS:
            self.restart()

    def next(self, path: str) -> ScriptedAnswer | None:
        """Return the scripted answer for a call, and count it as used.

        :param path: Path of the call.
        :returns: The first matching answer that is not used up, or None if the call is to be processed as usual.
        """
        for place, answer in enumerate(self._options.answers):
            left = answer.times is None or self._used[place] < answer.times
            if left and answer.path.search(path):
                self._used[place] += 1
                return answer
        return self._gateway(path)

    def left(self) -> list[int | None]:
        """Return the number of calls that each scripted answer is still for; None means unlimited."""
        return [
            None if answer.times is None else answer.times - used
            for answer, used in zip(self._options.answers, self._used, strict=True)
        ]

    def _gateway(self, path: str) -> ScriptedAnswer | None:
        pattern, times = self._options.gateway, self._options.gateway_times
        if not pattern or (times is not None and self._gateway_used >= times):
            return None
        if not pattern.search(path) or random.random() >= self._options.gateway_share:
            return None
        self._gateway_used += 1
        return ScriptedAnswer.model_validate({"path": pattern, "fault": "bad-gateway"})
