"""Forms of a callback: the documents show a JSON object and name no content type, so options choose others as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import httpx

CallbackForm = Literal["json", "form", "multipart", "query", "put", "list", "wrapped", "gbk"]
StatusForm = Literal["number", "bool", "float", "word", "missing"]


def status_field(success: bool, form: StatusForm) -> dict[str, Any]:
    """Return the field `status` of a callback, or no field.

    :param success: Whether the image is reported as stored.
    :param form: `number` is 0 for success and 1 for failure (official; progress uses other numbers).
    """
    if form == "missing":
        return {}
    words = {
        "number": (1, 0),
        "bool": (False, True),
        "float": (1.0, 0.0),
        "word": ("failed", "success"),
    }
    return {"status": words[form][success]}


def callback_request(
    client: httpx.AsyncClient, url: str, fields: Mapping[str, Any], form: CallbackForm
) -> httpx.Request:
    """Return the request of a callback.

    :param client: The client that will send it.
    :param url: The callback URL.
    :param fields: The callback's fields.
    :param form: How they are sent.
    :raises httpx.InvalidURL: The URL is invalid.
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    if form == "query":
        return client.build_request("GET", httpx.URL(url).copy_merge_params(texts))
    if form == "form":
        return client.build_request("POST", url, data=texts)
    if form == "multipart":
        return client.build_request("POST", url, files={name: (None, text) for name, text in texts.items()})
    if form == "gbk":
        content = json.dumps(fields, ensure_ascii=False).encode("gbk", "replace")
        return client.build_request(
            "POST", url, content=content, headers={"Content-Type": "application/json"}
        )
    body: Any = fields
    if form == "list":
        body = [fields]
    elif form == "wrapped":
        body = {"code": 0, "data": fields}
    return client.build_request("PUT" if form == "put" else "POST", url, json=body)
