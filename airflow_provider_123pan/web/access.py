"""Who may see what. Airflow does not protect the app of a plugin, so every route names what it depends on here."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    ConnectionDetails,
    DagAccessEntity,
    VariableDetails,
)
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models import Connection, Variable
from fastapi import Depends

_ENTITIES = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)

#: What a route with ``dag_id`` in its path requires of the user for this DAG, and another one for DAGs in general.
MAY_READ_RUNS = [Depends(requires_access_dag("GET", entity)) for entity in _ENTITIES]


def _readable_dags(user: GetUserDep) -> frozenset[str]:
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user, method="GET"))


#: The ids of the DAGs that the user may read.
ReadableDags = Annotated[frozenset[str], Depends(_readable_dags)]


class Viewer:
    """The user, as far as connections and Variables are concerned."""

    def __init__(self, user: GetUserDep) -> None:
        self._user: Any = user

    def may_read_connection(self, conn_id: str) -> bool:
        """Return whether the user may read a connection."""
        details = ConnectionDetails(conn_id=conn_id, team_name=Connection.get_team_name(conn_id))
        return get_auth_manager().is_authorized_connection(method="GET", details=details, user=self._user)

    def may_read_variable(self, key: str) -> bool:
        """Return whether the user may read a Variable."""
        details = VariableDetails(key=key, team_name=Variable.get_team_name(key))
        return get_auth_manager().is_authorized_variable(method="GET", details=details, user=self._user)


ViewerDep = Annotated[Viewer, Depends(Viewer)]
