"""The app of the page, which Airflow's API server mounts. Every route but those of static files has guards.

* ``/``: the overview.
* ``/dags/<DAG>/runs/<run>``: the tasks of a run and their images; ``…/failures`` and ``…/images.csv`` beside it. With
  ``task_id`` and ``map_index`` in the query, one task of it.
* ``/static/…``: the stylesheet and the script.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_provider_123pan.web import runs
from airflow_provider_123pan.web.access import MAY_READ_RUNS, ReadableDags, ViewerDep
from airflow_provider_123pan.web.accounts import InboxView, accounts_for
from airflow_provider_123pan.web.findings import findings_of
from airflow_provider_123pan.web.images import MAX_GROUPS, Choice, Images
from airflow_provider_123pan.web.messages import language_of
from airflow_provider_123pan.web.rendering import STATIC_FILES, bars, headers, html, static_file
from airflow_provider_123pan.web.singles import counted, single_images
from airflow_provider_123pan.web.tasks import Task, tasks_from

_STATIC_CACHE = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
_STATES = ("present", "migrated", "suspect", "failed", "waiting", "submitted")
_MAX_PAGE = 100_000


def create_app(connect_inbox: Callable[[], Engine]) -> FastAPI:
    """Return the app.

    :param connect_inbox: makes the engine of the inbox's database.
    """
    # The description of the API would be readable without a login.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.inbox = InboxView(connect_inbox)
    for path, endpoint in _GUARDED.items():
        app.add_api_route(path, endpoint, dependencies=MAY_READ_RUNS)
    app.add_api_route("/static/{name}", static)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(Exception, _refuse)
    return app


class RunPage:
    """What the routes of a run share: its tasks, and the choice of images.

    :param map_index: of a task that is not mapped, Airflow's UI leaves the name of the placeholder.
    """

    def __init__(
        self,
        session: SessionDep,
        dag_id: Annotated[str, Path(max_length=250)],
        run_id: Annotated[str, Path(max_length=250)],
        task_id: Annotated[str | None, Query(max_length=250)] = None,
        map_index: Annotated[str | None, Query(max_length=20)] = None,
        status: Annotated[str, Query(max_length=20)] = "",
        text: Annotated[str, Query(max_length=500)] = "",
        directory: Annotated[str, Query(max_length=500)] = "",
    ) -> None:
        self.dag_id, self.run_id, self.task_id = dag_id, run_id, task_id
        index = int(map_index) if map_index is not None and map_index.isdecimal() else None
        self.map_index = index
        self.choice = Choice(status.strip(), text.strip(), directory.strip())
        found = runs.run_of(session, dag_id, run_id)
        if found is None:
            raise HTTPException(404)
        self.state, self.run_after = found
        rows = runs.tasks_of(session, dag_id, run_id, task_id, index)
        batches = {row.task_id for row in rows if row.operator not in runs.SINGLE}
        xcoms = runs.xcoms_of(session, dag_id, run_id, batches) if batches else ()
        arguments = runs.arguments_of(session, dag_id, run_id, batches) if batches else {}
        tasks = tasks_from(dag_id, run_id, rows, xcoms, arguments)
        names = {task.task_id for task in tasks if task.is_single}
        self._returned = self._read_returned(session, names) if names else []
        places = [(row.task_id, row.map_index) for row in rows if row.is_failed_single]
        self._failed = runs.failed_singles(session, dag_id, run_id, places)
        self.singles = single_images(tasks, self._returned, self._failed)
        self.tasks: list[Task] = counted(tasks, self.singles)

    def _read_returned(self, session: Session, names: set[str]) -> list[tuple[str, int, str, Any]]:
        found = runs.xcoms_of(session, self.dag_id, self.run_id, names, ["return_value"])
        return [xcom for xcom in found if self.map_index is None or xcom[1] == self.map_index]

    @property
    def has_images(self) -> bool:
        """True unless all tasks are checks, or there are none."""
        return not all(task.is_check for task in self.tasks)

    @property
    def has_failed(self) -> bool:
        """True if a task instance has failed."""
        return any(task.states["failed"] for task in self.tasks)

    @property
    def directories(self) -> list[str]:
        """The directories of the images, as far as they are known; at most 100."""
        found = {image.directory for image in self.singles} | {
            task.directory for task in self.tasks if not task.is_check
        }
        return sorted(directory for directory in found if directory)[:100]

    @property
    def callback_ids(self) -> list[str]:
        """The ``callback_id`` of each submission of a task with one image."""
        values = [value for *_, value in self._returned if isinstance(value, dict)]
        values += [xcoms for xcoms, _ in self._failed.values()]
        return sorted({found for value in values if isinstance(found := value.get("callback_id"), str)})

    def images(self, choice: Choice | None = None) -> Images:
        """Return the chosen images."""
        return Images(self.tasks, self.singles, choice or self.choice)

    def values(self) -> dict[str, Any]:
        """Return what each template of a run shows."""
        selection = {"task_id": self.task_id, "map_index": self.map_index}
        return {"run": self, "selection": selection, "chosen": selection | self.choice._asdict()}


RunPageDep = Annotated[RunPage, Depends(RunPage)]


def overview(request: Request, session: SessionDep, dag_ids: ReadableDags, viewer: ViewerDep) -> Response:
    """Answer with the overview."""
    now = datetime.now(timezone.utc)
    return _page(
        request,
        "overview.html",
        days=runs.DAYS,
        now=now,
        runs=runs.recent_runs(session, dag_ids, now),
        bars=bars(runs.images_per_day(session, dag_ids, now)),
        check=runs.last_check(session, dag_ids),
        accounts=accounts_for(viewer),
        inbox=request.app.state.inbox.health(),
    )


def show_run(
    request: Request, run: RunPageDep, page: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 1
) -> Response:
    """Answer with the tasks of a run, and a page of their images."""
    images = run.images()
    shown, has_next = images.page(page)
    ids = run.callback_ids
    called_back = request.app.state.inbox.count_called_back(ids) if ids else None
    return _page(
        request,
        "run.html",
        [image.new_url for image in shown],
        **run.values(),
        images=shown,
        problems=images.problems,
        page=page,
        has_next=has_next,
        states=_STATES,
        called_back=called_back,
        submissions=len(ids),
        refresh=any(not task.has_ended for task in run.tasks),
    )


def show_failures(request: Request, run: RunPageDep) -> Response:
    """Answer with the failures of a run by reason."""
    images = run.images(run.choice._replace(status="failed"))
    groups = images.groups()
    return _page(
        request,
        "failures.html",
        **run.values(),
        groups=groups,
        max_groups=MAX_GROUPS,
        findings=findings_of(run.tasks),
        problems=images.problems,
    )


def export_images(run: RunPageDep) -> Response:
    """Answer with the chosen images as a table."""
    disposition = {"Content-Disposition": 'attachment; filename="images.csv"'}
    return StreamingResponse(run.images().csv(), media_type="text/csv", headers=headers() | disposition)


def static(name: Literal["page.css", "page.js"]) -> Response:
    """Answer with a file that needs no login."""
    return Response(static_file(name), media_type=STATIC_FILES[name], headers=_STATIC_CACHE)


_GUARDED: dict[str, Callable[..., Response]] = {
    "/": overview,
    "/dags/{dag_id}/runs/{run_id}": show_run,
    "/dags/{dag_id}/runs/{run_id}/failures": show_failures,
    "/dags/{dag_id}/runs/{run_id}/images.csv": export_images,
}


def _page(
    request: Request,
    template: str,
    image_urls: list[str | None] | None = None,
    status: int = 200,
    **values: Any,
) -> Response:
    language = language_of(request.headers.get("accept-language", ""))
    content = html(template, language, request.scope.get("root_path", ""), **values)
    varying = headers(image_urls or ()) | {"Vary": "Accept-Language, Cookie"}
    return Response(content, status, varying, "text/html")


def _refuse(request: Request, error: Exception) -> Response:
    """Answer a request that cannot be served, without details."""
    status = getattr(error, "status_code", 422 if isinstance(error, RequestValidationError) else 500)
    key = f"error_{status if status in (401, 403, 404, 422) else 500}"
    return _page(request, "error.html", None, status, key=key)
