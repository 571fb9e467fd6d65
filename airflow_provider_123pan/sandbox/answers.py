"""Scripted answers: what the next calls of a path get instead of the usual answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Fault = Literal[
    "verifying",
    "html",
    "empty",
    "no-code",
    "redirect",
    "server-error",
    "bad-gateway",
    "blocked",
    "traffic-exceeded",
]

_BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>kong</center>\r\n</body>\r\n</html>\r\n"
)
_HTML_TYPE = {"Content-Type": "text/html"}

# The fields of each fault. The message of `verifying` and the body of `blocked` are observed; the rest is assumed.
FAULTS: dict[Fault, dict[str, Any]] = {
    "verifying": {"body": {"code": 20103, "message": "文件正在校验中,请间隔1秒后再试", "data": None}},
    "html": {"body": "<html><body>Please log in</body></html>", "headers": _HTML_TYPE},
    "empty": {"body": ""},
    "no-code": {"body": {"message": "ok", "data": None}},
    "redirect": {"status": 302, "headers": {"Location": "/"}},  # the sandbox's page
    "server-error": {"status": 500, "body": "Internal Server Error"},
    "bad-gateway": {"status": 502, "body": _BAD_GATEWAY, "headers": _HTML_TYPE},
    "blocked": {"status": 403, "body": "123pan-global-slb forbidden client ip"},
    "traffic-exceeded": {"body": {"code": 5113, "message": "下载流量超出限制", "data": None}},
}


class ScriptedAnswer(BaseModel):
    """An answer that the next calls of a matching path get instead of the usual one."""

    model_config = ConfigDict(extra="forbid")

    path: re.Pattern[str] = Field(
        description="regex searched in the path of a call, such as '/offline/download$', or of an image's URL"
    )
    times: int | None = Field(1, description="number of calls that get this answer; null = unlimited")
    action: Literal["answer", "process-then-answer", "drop", "process-then-drop", "pass"] = Field(
        "answer",
        description="answer: send this answer and do not process the call; drop: close the connection "
        "without an answer and do not process the call; process-then-...: process the call first; "
        "pass: wait for `delay`, then process and answer the call as usual",
    )
    fault: Fault | None = Field(
        None,
        description="sets status, body and headers: verifying: code 20103, the file is being verified; "
        "html, empty or no-code: HTML, nothing, or JSON without a code under HTTP 200; redirect: HTTP 302; "
        "server-error: HTTP 500 without JSON; bad-gateway: HTTP 502 with HTML; blocked: the load balancer's HTTP 403; "
        "traffic-exceeded: code 5113, for an image's URL",
    )
    status: int = Field(200, ge=200, le=599, description="HTTP status")
    body: JsonValue = Field("", description="a string is sent as it is, anything else as JSON")
    headers: dict[str, str] = Field(default_factory=dict, description="headers by name")
    delay: float = Field(0, ge=0, description="seconds before the answer, or before the connection closes")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, fields: Any) -> Any:
        """Add the fields of `fault`; given ones stay."""
        if not isinstance(fields, Mapping):
            return fields
        preset: Any = next((FAULTS[name] for name in FAULTS if name == fields.get("fault")), {})
        return {**preset, **fields}
