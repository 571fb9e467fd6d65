"""The service in a scenario of the truth fuzz: answers to calls, deliveries, and which image really is ours."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service.models import BEIJING
from airflow_provider_123pan.service.protocol import Answer, Call
from tests.fuzz.truth_scenario import AGES, Scenario, etag_of
from tests.fuzz.virtual_time import START, VIRTUAL

DIRECTORY = "the-directory"
OLD = 86_400.0 * 30
FAULTS = ("429", "500", "502", "503", "html", "empty", "verifying", "redirect", "cut off")


@dataclass(slots=True)
class Record:
    """A stored image. Moments are Unix seconds by the service's clock."""

    fileID: str
    name: str
    etag: str
    created: float
    changed: float
    visible: float

    @property
    def url(self) -> str:
        """The image's URL."""
        return f"https://vip.example.com/{self.fileID}.jpg"


@dataclass(slots=True)
class Task:
    """An offline task."""

    name: str
    content: str
    callback_id: str | None
    ends: float
    record: Record | None = None
    ended: bool = False


class Service:
    """The service in a scenario.

    :ivar deliveries: with the moments at which they come.
    :ivar truth: our images, by the source URLs.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rng = random.Random(-scenario.seed)
        self.tasks: dict[int, Task] = {}
        self.deliveries: list[tuple[float, Delivery]] = []
        self.truth: dict[str, Record] = {}
        self.stored_at: dict[str, float] = {}
        self.calls = 0
        self._count = 0
        self.records = [self._record("holiday.jpg", etag_of("holiday"), START - OLD)]
        self.old, self.older, self.neighbours = self.records[0], list[Record](), list[Record]()
        if scenario.older != "none":
            for number in range(scenario.images if scenario.is_sync else 1):
                content = url_of(number) if scenario.older == "equal" else f"older {number}"
                self.older.append(
                    self._record(scenario.file_name(number), etag_of(content), START - AGES[scenario.age])
                )
        if scenario.mode == "sync skip":
            for record in self.older:  # the first scan shows what is there
                record.visible = record.created
        self.records += self.older
        for number in range(scenario.neighbours):
            created = START + self.rng.uniform(1, 20)
            self.neighbours.append(
                self._record(f"neighbour {number}.jpg", etag_of(f"neighbour {number}"), created)
            )
        self.records += self.neighbours
        self.rng.shuffle(self.records)

    def _record(self, name: str, etag: str, created: float) -> Record:
        self._count += 1
        return Record(f"file{self._count:03d}==", name, etag, created, created, created + self.scenario.lag)

    # -- what happens ------------------------------------------------------------------------------------------

    def submit(self, url: str, name: str, callback_id: str | None) -> int:
        """Create an offline task, and return its taskID."""
        taskID = 403_316 + len(self.tasks)
        self.tasks[taskID] = Task(name, url, callback_id, VIRTUAL.now + self.scenario.duration)
        if self.scenario.callback == "early" and callback_id:
            self._deliver(callback_id, VIRTUAL.now + 0.2, DeliveryStatus.SUCCEEDED)
        return taskID

    def advance(self) -> None:
        """Let the tasks end whose time has come."""
        for task in self.tasks.values():
            if not task.ended and task.ends <= VIRTUAL.now:
                task.ended = True
                if not self.scenario.fails:
                    self._store(task)
                self._call_back(task)

    def _store(self, task: Task) -> None:
        etag = etag_of(task.content)
        same = [record for record in self.records if record.etag == etag]
        if same:
            task.record = same[0]
            if not self.scenario.keeps_date:
                task.record.changed = task.ends
        else:
            task.record = self._record(self.scenario.stored_name(task.name, etag, task.ends), etag, task.ends)
            self.records.append(task.record)
        self.truth[task.content] = task.record
        self.stored_at.setdefault(task.content, max(task.ends, task.record.visible))

    def _call_back(self, task: Task) -> None:
        if task.callback_id is None:
            return
        status = DeliveryStatus.FAILED if self.scenario.fails else DeliveryStatus.SUCCEEDED
        fileID = task.record.fileID if task.record else None
        at = task.ends + self.rng.uniform(0, 2)
        match self.scenario.callback:
            case "true":
                self._deliver(task.callback_id, at, status, fileID)
            case "late":
                self._deliver(task.callback_id, at + self.rng.uniform(30, 400), status, fileID)
            case "doubled":
                self._deliver(task.callback_id, at, status, fileID)
                self._deliver(task.callback_id, at + self.rng.uniform(0, 90), status, fileID)
            case "wrong state":
                self._deliver(task.callback_id, at, DeliveryStatus(1 - status), fileID)
            case "old file":
                self._deliver(task.callback_id, at, status, self.old.fileID)
            case "older file" if self.older:
                self._deliver(task.callback_id, at, status, self.rng.choice(self.older).fileID)
            case "neighbour's file" if self.neighbours:
                self._deliver(task.callback_id, at, status, self.rng.choice(self.neighbours).fileID)
                if self.rng.random() < 0.3:
                    self._deliver(task.callback_id, at + 1, status, fileID)

    def _deliver(
        self, callback_id: str, at: float, status: DeliveryStatus, fileID: str | None = None
    ) -> None:
        reason = "the service says why" if status is DeliveryStatus.FAILED else ""
        self.deliveries.append((at, Delivery(callback_id, status, reason, fileID)))

    def delivered(self, callback_ids: set[str]) -> tuple[Delivery, ...]:
        """Return the deliveries that have come for these callback ids."""
        self.advance()
        return tuple(
            each for at, each in self.deliveries if at <= VIRTUAL.now and each.callback_id in callback_ids
        )

    def next_delivery(self, callback_id: str) -> float | None:
        """Return when the next delivery comes, as far as that is known."""
        self.advance()
        coming = [at for at, each in self.deliveries if each.callback_id == callback_id and at > VIRTUAL.now]
        running = [
            task.ends for task in self.tasks.values() if task.callback_id == callback_id and not task.ended
        ]
        return min([*coming, *running], default=None)

    # -- calls -------------------------------------------------------------------------------------------------

    def answer(self, call: Call[Any]) -> Answer:
        """Answer a call, or fail."""
        VIRTUAL.now += self.rng.uniform(0.02, 0.2)
        self.calls += 1
        self.advance()
        faulty = self.rng.random() < self.scenario.faults
        creates = call.name == "create_offline_download"
        if not faulty:
            return self._json(self._data(call))
        fault = self.rng.choice(FAULTS)
        if creates and fault in ("500", "502", "html", "empty", "cut off") and self.rng.random() < 0.5:
            self._data(call)  # it arrived all the same
        return self._fault(fault, call)

    def _fault(self, fault: str, call: Call[Any]) -> Answer:
        match fault:
            case "429":
                return self._json(None, 429, "请求太频繁")
            case "html":
                return Answer(200, self._headers(), b"<html>busy</html>")
            case "empty":
                return Answer(200, self._headers(), b"")
            case "verifying" if call.name != "create_offline_download":
                return self._json(None, 20103, "文件正在校验中,请间隔1秒后再试")
            case "redirect" if call.name in ("get_offline_download", "get_image", "list_images"):
                return Answer(302, {**self._headers(), "Location": "https://example.com/"}, b"")
            case "cut off":
                raise Pan123UnavailableError("no answer", call=call.name, ambiguous=True)
        return Answer(int(fault) if fault.isdecimal() else 503, self._headers(), b"upstream")

    def _headers(self) -> dict[str, str]:
        return {"Date": format_datetime(datetime.fromtimestamp(VIRTUAL.now, timezone.utc), usegmt=True)}

    def _json(self, data: Any, code: int = 0, message: str = "ok") -> Answer:
        body = {"code": code, "message": message, "data": data, "x-traceID": "trace"}
        return Answer(200, self._headers(), json.dumps(body).encode())

    def _data(self, call: Call[Any]) -> Any:
        known: dict[str, Callable[[Call[Any]], Any]] = {
            "create_offline_download": self._create,
            "get_offline_download": self._progress,
            "list_images": self._list,
            "get_image": self._detail,
        }
        return known[call.name](call)

    def _create(self, call: Call[Any]) -> Any:
        body = call.body or {}
        callback_id = body.get("callBackUrl", "").rpartition("/")[2] or None
        return {"taskID": self.submit(body["url"], body["fileName"], callback_id)}

    def _progress(self, call: Call[Any]) -> Any:
        task = self.tasks[int((call.params or {})["taskID"])]
        if not task.ended:
            return {"process": 42.0, "status": self.rng.choice((0, 3))}
        return {"process": 0, "status": 1} if self.scenario.fails else {"process": 100, "status": 2}

    def _list(self, call: Call[Any]) -> Any:
        body = call.body or {}
        since = body.get("startTime", 0)
        found = [each for each in self.records if each.visible <= VIRTUAL.now and each.created >= since]
        found.sort(key=lambda record: record.created, reverse=True)
        return {"fileList": [self._item(record, detail=False) for record in found], "lastFileId": "-1"}

    def _detail(self, call: Call[Any]) -> Any:
        fileID = (call.params or {})["fileID"]
        return next(self._item(record, detail=True) for record in self.records if record.fileID == fileID)

    def _item(self, record: Record, *, detail: bool) -> dict[str, Any]:
        return {
            "fileId": record.fileID,
            "filename": record.name,
            "parentFileId": DIRECTORY,
            "parentFilename": "images",
            "type": 0,
            "etag": record.etag,
            "size": 1000,
            "status": 2,
            "createAt": self._date(record.created),
            "updateAt": self._date(VIRTUAL.now if self._is_touched(record) else record.changed),
            "downloadURL": record.url if detail or self.scenario.urls_in_listing else "",
            "userSelfURL": "",
        }

    def _is_touched(self, record: Record) -> bool:
        return self.scenario.touched and record in self.older

    def _date(self, moment: float) -> Any:
        match self.scenario.dates:
            case "unix":
                return int(moment)
            case "empty":
                return ""
            case "utc":
                return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
            case "slashes":
                return datetime.fromtimestamp(moment, BEIJING).strftime("%Y/%m/%d %H:%M:%S")
        return datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def url_of(number: int) -> str:
    """Return the source URL of one of our images."""
    return f"https://source.example.com/{number}.jpg"
