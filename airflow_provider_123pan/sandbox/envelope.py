"""The envelope of every answer, and the codes of refusals (official documents, unless marked)."""

from __future__ import annotations

import json
import uuid
from typing import Any

from starlette.responses import Response

INTERNAL = 1  # the service's catch-all, validation included (seen)
TOKEN = 401
TOO_FREQUENT = 429
NO_FILE = 5066


class Refusal(Exception):
    """An answer with a code other than 0; raised anywhere below the routes."""

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def envelope(data: Any = None, code: int = 0, message: str = "ok") -> Response:
    """`{"code", "message", "data", "x-traceID"}`; errors too come under HTTP 200, with null data (seen)."""
    trace_id = f"{uuid.uuid4()}_kong-db-sandbox"
    body = {"code": code, "message": message, "data": data, "x-traceID": trace_id}
    return Response(json.dumps(body, ensure_ascii=False).encode(), media_type="application/json")
