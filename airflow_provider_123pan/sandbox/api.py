"""The service's routes: how requests are read, checked and answered."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from airflow_provider_123pan.sandbox import copy_calls, upload_calls
from airflow_provider_123pan.sandbox.answers import ScriptedAnswer
from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.calls import CALLS, Call, log_in
from airflow_provider_123pan.sandbox.envelope import TOO_FREQUENT, Refusal, envelope

LOGIN = "/api/v1/access_token"
RATE_EXCEEDED = "请求太频繁"
# An SVG may contain scripts, so browsers are made to isolate it from the sandbox's page.
IMAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}

_RANGE = re.compile(r"bytes=0-(\d{1,9})")

Handler = Callable[[Request], Awaitable[Any]]
Endpoint = Callable[[Request], Awaitable[Response]]

_CALLS = {
    **CALLS,
    ("POST", "/upload/v1/oss/file/create"): upload_calls.create_upload,
    ("POST", "/upload/v1/oss/file/get_upload_url"): upload_calls.get_upload_url,
    ("POST", "/upload/v1/oss/file/upload_complete"): upload_calls.complete_upload,
    ("POST", "/upload/v1/oss/file/upload_async_result"): upload_calls.get_upload_result,
    ("POST", "/api/v1/oss/source/copy"): copy_calls.copy_from_drive,
    ("GET", "/api/v1/oss/source/copy/process"): copy_calls.get_copy,
    ("GET", "/api/v1/oss/source/copy/fail"): copy_calls.list_copy_failures,
}
# What a ban on writing refuses.
_WRITES = frozenset({"/upload/v1/oss/file/create", "/api/v1/oss/source/copy"}) | {
    path for _, path in CALLS if path.endswith(("/download", "/mkdir", "/move", "/delete"))
}


def add_routes(app: FastAPI, backend: Backend) -> None:
    """Add the service's routes to an application."""
    # Starlette's plain routes: FastAPI's would validate bodies by their own rules, and more slowly.
    app.add_route(LOGIN, _endpoint(backend, _in_envelope(backend, _login(backend))), methods=["POST"])
    for (method, path), call in _CALLS.items():
        process = _in_envelope(backend, _with_token(backend, call))
        app.add_route(path, _endpoint(backend, process), methods=[method])
    storage = _endpoint(backend, partial(upload_calls.take_slice, backend))
    app.add_route(upload_calls.STORAGE, storage, methods=["PUT"])
    app.add_route("/{user_id:int}/{name}", _image(backend), methods=["GET"])


def _in_envelope(backend: Backend, handle: Handler) -> Endpoint:
    """Return an endpoint that answers with the result of a handler, or with its refusal."""

    async def process(request: Request) -> Response:
        try:
            if request.headers.get("platform") != "open_platform":
                raise Refusal("header Platform must be open_platform")
            return envelope(await handle(request))
        except Refusal as refusal:
            backend.refusals[refusal.code] += 1
            return envelope(None, refusal.code, refusal.message)

    return process


def _endpoint(backend: Backend, process: Endpoint) -> Endpoint:
    """Return an endpoint that adds counts, scripted answers and latency to another one."""

    async def endpoint(request: Request) -> Response:
        path = request.url.path
        backend.requests[path] += 1
        fault = backend.faults.next(path)
        if fault is None or fault.action == "pass":
            if fault:
                await backend.pause(fault.delay)
            answer = await process(request)
        else:
            if fault.action.startswith("process"):
                await process(request)
            await backend.pause(fault.delay)
            if fault.action.endswith("drop"):
                await _hang_up(backend, request)
            answer = _scripted(fault)
        if backend.options.latency[1]:
            await asyncio.sleep(random.uniform(*backend.options.latency))
        return answer

    return endpoint


async def _hang_up(backend: Backend, request: Request) -> None:
    backend.hang_up(request.scope["client"])
    # uvicorn discards the answer only after it has noticed the disconnection.
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _scripted(fault: ScriptedAnswer) -> Response:
    if isinstance(fault.body, str):
        return Response(fault.body, fault.status, {"Content-Type": "text/plain", **fault.headers})
    return Response(
        json.dumps(fault.body), fault.status, {"Content-Type": "application/json", **fault.headers}
    )


def _login(backend: Backend) -> Handler:
    async def handle(request: Request) -> Any:
        params = await _params(request)
        rate = backend.options.login_rate
        # All unknown client IDs share one limit, so that invented ones use no memory.
        key = params.get("clientID") if params.get("clientID") in backend.options.accounts else ""
        if rate and not backend.limits.allows(f"login {key}", rate, backend.options.rate_kind):
            raise Refusal(RATE_EXCEEDED, TOO_FREQUENT)
        return log_in(backend, params)

    return handle


def _with_token(backend: Backend, call: Callable[[Call], Awaitable[Any]]) -> Handler:
    async def handle(request: Request) -> Any:
        client_id = backend.tokens.use(request.headers.get("authorization", ""), backend.options.token_uses)
        rate = backend.options.rate
        if rate and not backend.limits.allows(client_id, rate, backend.options.rate_kind):
            raise Refusal(RATE_EXCEEDED, TOO_FREQUENT)
        if request.url.path in _WRITES:
            backend.uploads.check_ban(client_id)
        return await call(Call(backend, client_id, await _params(request), str(request.base_url).rstrip("/")))

    return handle


async def _params(request: Request) -> dict[str, Any]:
    """Return the query of a GET or the JSON object of a POST."""
    if request.method in ("GET", "HEAD"):
        return dict(request.query_params)
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Refusal("header Content-Type must be application/json")
    try:
        params = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Refusal("the body is not JSON") from error
    if not isinstance(params, dict):
        raise Refusal("the body is not a JSON object")
    return params


def _image(backend: Backend) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        backend.served += 1
        fault = backend.faults.next(request.url.path)
        if fault:
            await backend.pause(fault.delay)
            if fault.action.endswith("drop"):
                await _hang_up(backend, request)
            if fault.action != "pass":
                return _scripted(fault)
        file_id = request.path_params["name"].partition(".")[0]
        image = backend.store.find_image(request.path_params["user_id"], file_id)
        if image is None:
            return PlainTextResponse("no such image", 404)
        content, headers, status = backend.store.content(image), IMAGE_HEADERS, 200
        if match := _RANGE.fullmatch(request.headers.get("range", "")):
            content, headers, status = _part(content, headers, int(match[1]))
        image.traffic += len(content)
        return Response(content, status, headers, image.media_type)

    return endpoint


def _part(content: bytes, headers: dict[str, str], last: int) -> tuple[bytes, dict[str, str], int]:
    """Return the beginning of an image, with the headers and the status that go with it."""
    part = content[: last + 1]
    content_range = f"bytes 0-{len(part) - 1}/{len(content)}"
    return part, headers | {"Content-Range": content_range}, 206
