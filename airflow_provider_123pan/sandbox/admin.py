"""Routes that the real service does not have: the page at `/`, and `/sandbox/…` for tests."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from airflow_provider_123pan.sandbox.api import IMAGE_HEADERS
from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.calls import item
from airflow_provider_123pan.sandbox.guard import guard
from airflow_provider_123pan.sandbox.images import NotAnImage, thumbnail
from airflow_provider_123pan.sandbox.options import FIXED_AT_START
from airflow_provider_123pan.sandbox.page import render
from airflow_provider_123pan.sandbox.tasks import OfflineTask

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}


def add_routes(app: FastAPI, backend: Backend) -> None:
    """Add the page and the routes for tests to an application."""
    router = APIRouter(dependencies=[Depends(guard(backend.options.host))])

    @router.get("/")
    async def page(request: Request) -> Response:
        base_url = str(request.base_url).rstrip("/")
        return HTMLResponse(render(backend, base_url), headers=_PAGE_HEADERS)

    @router.get("/sandbox/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/sandbox/state")
    async def state(request: Request, limit: int = 1000) -> dict[str, Any]:
        return _state(backend, str(request.base_url).rstrip("/"), limit)

    @router.get("/sandbox/settings")
    async def options() -> dict[str, Any]:
        return backend.options.model_dump(mode="json")

    @router.put("/sandbox/settings")
    async def configure(changes: dict[str, Any]) -> Response:
        fixed = [name for name in FIXED_AT_START if name in changes]
        if fixed:
            return JSONResponse({"detail": [{"loc": fixed, "msg": "fixed at start"}]}, 422)
        try:
            backend.configure(changes)
        except ValidationError as error:
            problems = json.loads(error.json(include_url=False, include_context=False))
            return JSONResponse({"detail": problems}, 422)
        return JSONResponse(backend.options.model_dump(mode="json"))

    @router.post("/sandbox/reset")
    async def reset() -> dict[str, str]:
        backend.reset()
        return {"status": "ok"}

    @router.post("/sandbox/kill-tokens")
    async def kill_tokens() -> dict[str, int]:
        return {"killed": backend.tokens.expire_all()}

    @router.post("/sandbox/lose")
    async def lose(names: Annotated[str, Body(embed=True)]) -> Response:
        try:
            return JSONResponse({"lost": backend.lose(re.compile(names))})
        except re.error as error:
            return JSONResponse({"detail": f"names: {error}"}, 422)

    @router.get("/sandbox/thumbnail/{file_id}")
    async def image_thumbnail(file_id: str) -> Response:
        candidates = (tree.images.get(file_id) for tree in backend.store.trees.values())
        image = next((image for image in candidates if image), None)
        if image is None:
            return PlainTextResponse("no such image", 404)
        content, media_type = backend.store.content(image), image.media_type
        if media_type != "image/svg+xml":
            try:
                content, media_type = await asyncio.to_thread(thumbnail, content), "image/png"
            except NotAnImage:
                return PlainTextResponse("no thumbnail", 404)
        headers = {**IMAGE_HEADERS, "Cache-Control": "max-age=3600"}
        return Response(content, media_type=media_type, headers=headers)

    app.include_router(router)


def _state(backend: Backend, base_url: str, limit: int) -> dict[str, Any]:
    trees = backend.store.trees.values()
    images = ((tree, image) for tree in trees for image in reversed(tree.images.values()))
    tasks = backend.tasks.newest_first()
    return {
        "counts": {
            "requests": dict(backend.requests),
            "logins": backend.logins,
            "submissions": backend.submissions,
            "uploads": backend.uploads.completed,
            "reused": backend.uploads.reused,
            "most_uploads_in_flight": backend.uploads.most_in_flight,
            "served": backend.served,
            "callbacks": backend.callbacks.sent,
            "refusals": {str(code): count for code, count in backend.refusals.items()},
            "refused_429": backend.refusals[429],
            "tasks": dict(Counter(task.state for task in tasks)),
            "files": sum(len(tree.images) for tree in trees),
        },
        "tokens": backend.tokens.count_valid(),
        "running": dict(backend.tasks.running),
        "answers_left": backend.faults.left(),
        "tasks": [_task(task) for task in tasks[:limit]],
        "files": [item(image, tree, base_url, backend.options) for tree, image in islice(images, limit)],
    }


def _task(task: OfflineTask) -> dict[str, Any]:
    return {
        "taskID": task.task_id,
        "clientID": task.client_id,
        "url": task.url,
        "fileName": task.file_name,
        "businessDirID": task.directory_id,
        "callBackUrl": task.callback_url,
        "state": task.state,
        "status": task.status,
        "reason": task.reason,
        "fileID": task.image.file_id if task.image else None,
        "deliveries": task.deliveries,
        "delivered_at": task.delivered_at,
    }
