"""The envelope of all answers, and the codes of refusals (official unless marked otherwise)."""

from __future__ import annotations

import json
import uuid
from typing import Any

from starlette.responses import Response

INTERNAL = 1  # the service's catch-all, also for invalid input (observed)
TOKEN = 401
TOO_FREQUENT = 429
NO_FILE = 5066
NAME_TAKEN = 5060  # observed on the cloud drive, a sister product


class Refusal(Exception):
    """An answer with a code other than 0."""

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        """Create a refusal.

        :param message: The envelope's message.
        :param code: The envelope's code.
        """
        super().__init__(message)
        self.message = message
        self.code = code


def envelope(data: Any = None, code: int = 0, message: str = "ok") -> Response:
    """Return an answer with HTTP 200 and the body `{"code", "message", "data", "x-traceID"}`.

    Refusals have HTTP 200 as well, and null data (observed).

    :param data: The call's result, as JSON values.
    :param code: 0, or the code of a refusal.
    :param message: `ok`, or the message of a refusal.
    """
    trace_id = f"{uuid.uuid4()}_kong-db-sandbox"
    body = {"code": code, "message": message, "data": data, "x-traceID": trace_id}
    return Response(json.dumps(body, ensure_ascii=False).encode(), media_type="application/json")
