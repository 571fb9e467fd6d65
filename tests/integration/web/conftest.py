"""The page over a real metadata database of Airflow, and users whom an auth manager allows some DAGs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import settings
from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models import Connection, DagModel, Variable, import_all_models
from airflow.models.base import Base
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, insert
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker

from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.web.app import create_app
from airflow_provider_123pan.web.rendering import PREFIX

NOW = datetime.now(timezone.utc)
RUN = "manual__2026-11-26T00:00:00+00:00"
READABLE = "allowed"
SYNC = "Pan123SyncImagesOperator"


class PerDag(SimpleAuthManager):
    """Allows each user the DAGs that are the user's name, separated by commas; ``admin`` may read everything.

    A user with the role ``user`` may read no XComs.
    """

    def is_authorized_dag(
        self, *, user: Any, access_entity: Any = None, details: Any = None, **_: Any
    ) -> bool:
        if user.role == "user" and access_entity is DagAccessEntity.XCOM:
            return False
        return user.username == "admin" or details is None or details.id is None or details.id in _dags(user)

    def filter_authorized_dag_ids(self, *, dag_ids: set[str], user: Any, **_: Any) -> set[str]:
        return dag_ids if user.username == "admin" else dag_ids & {*_dags(user)}

    def is_authorized_connection(self, *, user: Any, **_: Any) -> bool:
        return bool(user.username == "admin")

    def is_authorized_variable(self, *, user: Any, **_: Any) -> bool:
        return bool(user.username == "admin")


def _dags(user: Any) -> list[str]:
    return str(user.username).split(",")


class Metadata:
    """Writes what Airflow would have written."""

    def __init__(self, sessions: Callable[[], Session]) -> None:
        self._sessions = sessions

    def add_run(self, dag_id: str, run_id: str = RUN, *, state: str = "success", days_ago: int = 0) -> None:
        at = NOW - timedelta(days=days_ago)
        with self._sessions() as session, session.begin():
            if session.get(DagModel, dag_id) is None:
                session.add(DagModel(dag_id=dag_id, bundle_name="bundle"))  # type: ignore[no-untyped-call]
            session.flush()
            session.add(
                DagRun(
                    dag_id=dag_id,
                    run_id=run_id,
                    state=DagRunState(state),
                    run_type=DagRunType.MANUAL,
                    run_after=at,
                    triggered_by=DagRunTriggeredByType.TEST,
                )
            )

    def add_task(
        self,
        dag_id: str,
        task_id: str,
        xcoms: dict[str, Any] | None = None,
        *,
        operator: str = SYNC,
        state: str = "success",
        map_index: int = -1,
        run_id: str = RUN,
    ) -> None:
        with self._sessions() as session, session.begin():
            run = session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).one()
            place = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
            times = {"start_date": NOW, "end_date": NOW if state in ("success", "failed") else None}
            session.execute(
                insert(TaskInstance).values(
                    **place, **times, state=state, operator=operator, pool="default_pool", executor_config={}
                )
            )
            for key, value in (xcoms or {}).items():
                session.execute(
                    insert(XComModel).values(**place, dag_run_id=run.id, key=key, value=value, timestamp=NOW)
                )

    def add(self, row: Any) -> None:
        with self._sessions() as session, session.begin():
            session.add(row)

    def add_account(self, conn_id: str, **variables: Any) -> None:
        self.add(
            Connection(
                conn_id=conn_id,
                conn_type="pan123",
                host="https://pan.example",
                login="client",
                password="the client's secret",
            )
        )
        for key, value in variables.items():
            self.add(Variable(key=key, val=json.dumps(value)))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def _metadata_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('metadata') / 'airflow.db'}")
    import_all_models()  # type: ignore[no-untyped-call]
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def metadata(_metadata_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Metadata:
    """The metadata database, empty but for the bundle of the DAGs."""
    # Other tests of this process, and their threads, may have left what Variables of a task are read through.
    monkeypatch.setattr("airflow_provider_123pan.account.variables._variable", lambda: Variable)
    with _metadata_engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    sessions = sessionmaker(_metadata_engine, expire_on_commit=False)
    for name, value in (("engine", _metadata_engine), ("Session", sessions), ("NonScopedSession", sessions)):
        monkeypatch.setattr(settings, name, value, raising=False)
    made = Metadata(sessions)
    made.add(DagBundleModel(name="bundle"))
    return made


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    """An inbox in a database of its own."""
    engine = create_engine(f"sqlite:///{tmp_path}/inbox.db")
    made = Inbox(lambda: engine)
    made.create()
    return made


@pytest.fixture
def page(inbox: Inbox) -> FastAPI:
    """The app of the page."""
    return create_app(lambda: inbox._engine)


Login = Callable[..., TestClient]


@pytest.fixture
def login(metadata: Metadata, page: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    """Log in as a user who may read some DAGs; without a name, there is no login."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "0123456789abcdef" * 4)
    manager = PerDag()  # type: ignore[no-untyped-call]
    monkeypatch.setattr(airflow_app, "_AuthManagerState", SimpleNamespace(instance=manager))
    airflow = FastAPI()
    airflow.mount(PREFIX, page)
    clients = []

    def made(name: str | None = None, role: str = "viewer") -> TestClient:
        client = TestClient(airflow, base_url="http://airflow", raise_server_exceptions=False)
        if name:
            user = SimpleAuthManagerUser(username=name, role=role)
            client.cookies.set(COOKIE_NAME_JWT_TOKEN, manager.generate_jwt(user))
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.close()
