"""The sandbox over real HTTP: every sharp edge of the service that the provider is tested against."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest
import requests
from PIL import Image

from airflow_provider_123pan.sandbox import Sandbox

LOGIN = "/api/v1/access_token"
CREATE = "/api/v1/oss/offline/download"
PROGRESS = "/api/v1/oss/offline/download/process"
LIST = "/api/v1/oss/file/list"
DETAIL = "/api/v1/oss/file/detail"
MKDIR = "/upload/v1/oss/file/mkdir"
MOVE = "/api/v1/oss/file/move"
DELETE = "/api/v1/oss/file/delete"

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 8) -> T:
    """The first true thing that `look` gives."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return seen


def picture(colour: str, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(content, kind)
    return content.getvalue()


SVG = b"<?xml version='1.0'?><!-- drawn --><svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>"
SOURCES: dict[str, bytes] = {
    "red.png": picture("red"),
    "blue.png": picture("blue"),
    "green.jpg": picture("green", "JPEG"),
    "a.gif": picture("white", "GIF"),
    "a.bmp": picture("white", "BMP"),
    "a.tif": picture("white", "TIFF"),
    "a.webp": picture("white", "WEBP"),
    "a.svg": SVG,
    "page.png": b"<html><body>no image</body></html>",
}


class Neighbour(ThreadingHTTPServer):
    """The rest of the network: the source of the images, and the receiver of the callbacks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", f"/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = SOURCES.get(name)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        pass


class Client:
    """A caller with a token, as plain as can be."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Platform"] = "open_platform"

    def send(self, method: str, path: str, **given: Any) -> requests.Response:
        url = self.sandbox.base_url + path
        return self.session.request(method, url, timeout=10, allow_redirects=False, **given)

    def log_in(self, **changed: Any) -> dict[str, Any]:
        body = {"clientID": self.sandbox.client_id, "clientSecret": self.sandbox.client_secret, **changed}
        answer: dict[str, Any] = self.send("POST", LOGIN, json=body).json()
        if answer["code"] == 0:
            self.session.headers["Authorization"] = f"Bearer {answer['data']['accessToken']}"
        return answer

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.send("POST", path, json=body).json()
        return answer

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.send("GET", path, params=params).json()
        return answer

    def submit(self, url: str, **more: Any) -> int:
        answer = self.post(CREATE, url=url, type=1, **more)
        assert answer["code"] == 0, answer
        task_id: int = answer["data"]["taskID"]
        return task_id

    def progress(self, task_id: int) -> dict[str, Any]:
        data: dict[str, Any] = self.get(PROGRESS, taskID=task_id)["data"]
        return data

    def wait(self, task_id: int) -> int:
        """The status that the task ends with."""
        return until(lambda: status if (status := self.progress(task_id)["status"]) in (1, 2) else 0)

    def migrate(self, url: str, **more: Any) -> None:
        assert self.wait(self.submit(url, **more)) == 2

    def directory(self, name: str, parent: str = "") -> str:
        answer = self.post(MKDIR, name=[name], parentID=parent, type=1)
        made: str = answer["data"]["list"][0]["dirID"]
        return made

    def files(self, directory: str, **more: Any) -> list[dict[str, Any]]:
        answer = self.post(LIST, parentFileId=directory, limit=100, type=1, **more)
        found: list[dict[str, Any]] = answer["data"]["fileList"]
        return found


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(delay=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox, neighbour: Neighbour) -> Sandbox:
    running.reset()
    neighbour.received.clear()
    return running


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    client = Client(sandbox)
    assert client.log_in()["code"] == 0
    return client


# Login and tokens


def test_login_gives_a_jwt_and_its_expiry(sandbox: Sandbox) -> None:
    answer = Client(sandbox).log_in()
    assert set(answer) == {"code", "message", "data", "x-traceID"}
    assert answer["x-traceID"]
    claims = answer["data"]["accessToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    expiry = datetime.fromisoformat(answer["data"]["expiredAt"])
    assert expiry.utcoffset() == timedelta(hours=8)
    assert expiry.timestamp() == claims["exp"]
    assert claims["exp"] == pytest.approx(time.time() + 30 * 86400, abs=60)


def test_wrong_secret_is_code_1_and_no_login(sandbox: Sandbox) -> None:
    answer = Client(sandbox).log_in(clientSecret="wrong")
    assert (answer["code"], answer["data"]) == (1, None)
    assert sandbox.state()["counts"]["logins"] == 0


def test_a_fourth_token_knocks_off_the_oldest(sandbox: Sandbox) -> None:
    clients = [Client(sandbox) for _ in range(4)]
    for each in clients:
        each.log_in()
    answers = [each.get(DETAIL, fileID="x") for each in clients]
    assert [answer["code"] for answer in answers] == [401, 5066, 5066, 5066]
    assert answers[0]["message"] == "tokens number has exceeded the limit"
    assert sandbox.state()["tokens"] == {sandbox.client_id: 3}


def test_killed_expired_missing_and_strange_tokens(client: Client) -> None:
    assert client.sandbox.kill_tokens() == 1
    killed = client.get(DETAIL, fileID="x")
    assert (killed["code"], killed["message"], killed["data"]) == (401, "token is expired", None)
    client.session.headers["Authorization"] = "Bearer strange"
    assert client.get(DETAIL, fileID="x")["code"] == 401
    del client.session.headers["Authorization"]
    assert client.get(DETAIL, fileID="x")["code"] == 401
    client.sandbox.configure(token_life=0.001)
    client.log_in()
    assert client.get(DETAIL, fileID="x")["message"] == "token is expired"


# Envelope and bad input


def test_errors_are_body_codes_under_http_200(client: Client) -> None:
    answer = client.send("GET", DETAIL, params={"fileID": "nowhere"})
    assert answer.status_code == 200
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()) < 5
    body = answer.json()
    assert (body["code"], body["data"]) == (5066, None)


GOOD = {"url": "http://127.0.0.1/a.png", "type": 1}


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        (CREATE, {**GOOD, "type": 2}, "type"),
        (CREATE, {"url": GOOD["url"]}, "type"),
        (CREATE, {"type": 1}, "url"),
        (CREATE, {**GOOD, "url": 7}, "url"),
        (CREATE, {**GOOD, "url": "ftp://127.0.0.1/a.png"}, "url"),
        (CREATE, {**GOOD, "fileName": "a.txt"}, "fileName"),
        (CREATE, {**GOOD, "fileName": "png"}, "fileName"),
        (CREATE, {**GOOD, "businessDirID": ""}, "root"),
        (CREATE, {**GOOD, "businessDirID": "nowhere"}, "nowhere"),
        (CREATE, {**GOOD, "businessDirID": 10023}, "businessDirID"),
        (CREATE, {**GOOD, "callBackUrl": "mailto:me"}, "callBackUrl"),
        (LIST, {"limit": 101, "type": 1}, "limit"),
        (LIST, {"limit": "10", "type": 1}, "limit"),
        (LIST, {"limit": 10}, "type"),
        (CREATE, {**GOOD, "fileName": "\ud800.png"}, "fileName"),
        (MKDIR, {"name": ["\udfff"], "type": 1}, "name"),
        (MKDIR, {"name": [], "type": 1}, "name"),
        (DELETE, {"fileIDs": ["x"] * 101}, "fileIDs"),
        (MOVE, {"fileIDs": "x", "toParentFileID": ""}, "fileIDs"),
        (CREATE, ["no object"], "object"),
    ],
)
def test_bad_input_is_code_1_with_a_hint(client: Client, path: str, body: Any, hint: str) -> None:
    answer = client.send("POST", path, json=body).json()
    assert (answer["code"], answer["data"]) == (1, None)
    assert hint in answer["message"]


def test_headers_are_required(client: Client) -> None:
    answer = client.send("POST", CREATE, data=json.dumps(GOOD)).json()
    assert answer["code"] == 1
    assert "Content-Type" in answer["message"]
    answer = client.send("POST", CREATE, data="{", headers={"Content-Type": "application/json"}).json()
    assert answer["code"] == 1
    assert "JSON" in answer["message"]
    client.session.headers["Platform"] = "mine"
    answer = client.post(CREATE, **GOOD)
    assert answer["code"] == 1
    assert "Platform" in answer["message"]


# Limits


def count_allowed(client: Client, seconds: float) -> int:
    allowed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        answer = client.get(DETAIL, fileID="x")
        assert answer["code"] in (5066, 429)
        if answer["code"] == 429:
            assert answer["message"] == "请求太频繁"
        allowed += answer["code"] == 5066
    return allowed


@pytest.mark.parametrize(("kind", "least", "most"), [("bucket", 11, 23), ("window", 10, 30)])
def test_over_the_rate_comes_429(client: Client, kind: str, least: int, most: int) -> None:
    client.sandbox.configure(rate=10, rate_kind=kind)
    assert least <= count_allowed(client, 1.1) <= most
    assert client.log_in()["code"] == 0, "logins have a limit of their own"
    assert client.sandbox.state()["counts"]["refused_429"] > 0


def test_logins_have_their_own_rate(sandbox: Sandbox) -> None:
    sandbox.configure(login_rate=1)
    assert [Client(sandbox).log_in()["code"] for _ in range(3)] == [0, 429, 429]


def test_too_many_active_tasks(client: Client) -> None:
    client.sandbox.configure(active_cap=2, delay=60, fetch=False)
    client.submit("http://127.0.0.1/1.png")
    client.submit("http://127.0.0.1/2.png")
    answer = client.post(CREATE, **GOOD)
    assert (answer["code"], answer["message"]) == (1, "同时下载的任务超出最大限制")
    assert client.sandbox.state()["running"] == {client.sandbox.client_id: 2}


# From the submission to the image


def test_from_submission_to_the_same_bytes(client: Client, neighbour: Neighbour) -> None:
    url = f"{neighbour.url}/moved/red.png"  # a redirect is followed
    task_id = client.submit(url, fileName="my red.png", callBackUrl=f"{neighbour.url}/told")
    assert task_id >= 403316
    assert client.wait(task_id) == 2
    assert client.progress(task_id) == {"process": 100, "status": 2}

    (directory,) = client.files("")
    assert (directory["filename"], directory["type"]) == ("来自:离线下载", 1)
    (image,) = client.files(directory["fileId"])
    assert image["filename"] == "my red.png"
    assert image["extension"] == "png"
    assert image["parentFileId"] == directory["fileId"]
    assert image["type"] == 0
    assert image["status"] == 2
    assert image["parentFilename"] == "来自:离线下载"
    assert image["userSelfURL"] == ""
    assert image["etag"] == hashlib.md5(SOURCES["red.png"]).hexdigest()
    assert image["size"] == len(SOURCES["red.png"])
    beijing = datetime.fromisoformat(image["createAt"].replace(" ", "T") + "+08:00")
    assert abs(beijing.timestamp() - time.time()) < 10
    assert client.get(DETAIL, fileID=image["fileId"])["data"] == image

    served = requests.get(image["downloadURL"], timeout=10)
    assert served.content == SOURCES["red.png"]
    assert served.headers["Content-Type"] == "image/png"

    ((path, payload),) = until(lambda: neighbour.received)
    assert path == "/told"
    assert payload == {"url": url, "status": 0, "failReason": "", "fileID": image["fileId"]}


@pytest.mark.parametrize("name", ["green.jpg", "a.gif", "a.bmp", "a.tif", "a.webp", "a.svg"])
def test_all_formats_and_their_thumbnails(client: Client, neighbour: Neighbour, name: str) -> None:
    client.migrate(f"{neighbour.url}/{name}")
    (image,) = client.sandbox.state()["files"]
    assert image["filename"] == name
    small = client.send("GET", f"/sandbox/thumbnail/{image['fileId']}")
    kind = "svg+xml" if name == "a.svg" else "png"
    assert small.status_code == 200
    assert small.headers["Content-Type"] == f"image/{kind}"


@pytest.mark.parametrize(
    ("name", "knobs", "reason"),
    [
        ("gone.png", {}, "the source answered 404"),
        ("page.png", {}, "unsupported image format"),
        ("red.png", {"max_bytes": 10}, "larger than 10 bytes"),
        ("red.png", {"fail": "red", "fail_reason": "no luck"}, "no luck"),
    ],
)
@pytest.mark.parametrize("spelling", ["failReason", "fileReason"])
def test_failures_and_their_reasons(
    client: Client, neighbour: Neighbour, name: str, knobs: dict[str, Any], reason: str, spelling: str
) -> None:
    client.sandbox.configure(**knobs, reason_spelling=spelling)
    task_id = client.submit(f"{neighbour.url}/{name}", callBackUrl=neighbour.url)
    assert client.wait(task_id) == 1
    assert client.progress(task_id) == {"process": 0, "status": 1}
    ((_, payload),) = until(lambda: neighbour.received)
    assert payload["status"] == 1
    assert reason in payload[spelling]
    assert payload["fileID"] == ""


def test_fetch_off_makes_tiny_images_from_urls(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    for number in range(3):
        client.migrate(f"http://nowhere.invalid/{number}.png")
    contents = {requests.get(f["downloadURL"], timeout=10).content for f in client.sandbox.state()["files"]}
    assert len(contents) == 3
    for content in contents:
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (2, 2)


def test_progress_runs_sticks_and_retries(client: Client) -> None:
    client.sandbox.configure(fetch=False, delay=60)
    running = client.progress(client.submit("http://127.0.0.1/a.png"))
    assert running["status"] == 0
    assert 0 <= running["process"] < 100
    client.sandbox.configure(delay=0, stuck="stuck", retrying="again")
    stuck = client.submit("http://127.0.0.1/stuck.png")
    again = client.submit("http://127.0.0.1/again.png")
    assert client.progress(again)["status"] == 3
    assert client.wait(again) == 2
    assert client.progress(stuck)["status"] == 3


def test_unknown_tasks(client: Client) -> None:
    assert client.get(PROGRESS, taskID=1)["code"] == 1
    assert client.get(PROGRESS, taskID="x")["code"] == 1
    client.sandbox.configure(fetch=False, unknown_task=0.6, first_task_id=2**62)
    task_id = client.submit("http://127.0.0.1/a.png")
    assert task_id == 2**62
    assert client.get(PROGRESS, taskID=task_id)["code"] == 1
    until(lambda: client.get(PROGRESS, taskID=task_id)["code"] == 0)


def test_visible_only_later(client: Client) -> None:
    client.sandbox.configure(fetch=False, visible_after=0.8)
    directory = client.directory("shop")
    client.migrate("http://127.0.0.1/a.png", businessDirID=directory)
    file_id = client.sandbox.state()["tasks"][0]["fileID"]
    assert client.files(directory) == []
    assert client.get(DETAIL, fileID=file_id)["code"] == 5066
    (image,) = until(lambda: client.files(directory))
    assert client.get(DETAIL, fileID=file_id)["data"] == image


def test_held_until_the_knob_says_otherwise(client: Client) -> None:
    client.sandbox.configure(fetch=False, delay=0, hold="held")
    held = client.submit("http://127.0.0.1/held.png")
    assert client.wait(client.submit("http://127.0.0.1/free.png")) == 2
    client.sandbox.configure(latency=0)
    assert client.progress(held)["status"] == 0
    client.sandbox.configure(hold="another")
    assert client.wait(held) == 2


def test_rejected_by_review(client: Client) -> None:
    client.sandbox.configure(fetch=False, review="rude", own_domain="https://img.example.com/")
    client.migrate("http://127.0.0.1/rude.png")
    (image,) = client.sandbox.state()["files"]
    assert image["status"] > 100
    assert image["userSelfURL"].startswith("https://img.example.com/")
    assert image["userSelfURL"].endswith(".png")


# Names and directories


@pytest.mark.parametrize(("same_etag", "name"), [("rename", "second.png"), ("keep", "first.png")])
@pytest.mark.parametrize("dates", ["refresh", "keep"])
def test_an_equal_image_is_overwritten(
    client: Client, neighbour: Neighbour, same_etag: str, name: str, dates: str
) -> None:
    client.sandbox.configure(same_etag=same_etag, same_etag_dates=dates)
    directory = client.directory("shop")
    for source, file_name in (("red.png", "first.png"), ("blue.png", "other.png"), ("red.png", "second.png")):
        client.migrate(f"{neighbour.url}/{source}", fileName=file_name, businessDirID=directory)
    names = [image["filename"] for image in client.files(directory)]
    assert names == ([name, "other.png"] if dates == "refresh" else ["other.png", name])


def test_a_different_image_under_a_taken_name(client: Client, neighbour: Neighbour) -> None:
    directory = client.directory("shop")
    for source in ("red.png", "blue.png", "green.jpg"):
        client.migrate(f"{neighbour.url}/{source}", fileName="a.b.png", businessDirID=directory)
    names = [image["filename"] for image in client.files(directory)]
    assert names == ["a.b(2).png", "a.b(1).png", "a.b.png"]


def test_list_pages_and_filters(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    directory = client.directory("shop")
    for number in range(5):
        client.migrate(f"http://127.0.0.1/{number}.png", businessDirID=directory)
    seen, last = [], ""
    while last != "-1":
        page = client.post(LIST, parentFileId=directory, limit=2, type=1, lastFileId=last)["data"]
        seen.append([image["filename"] for image in page["fileList"]])
        last = page["lastFileId"]
    assert seen == [["4.png", "3.png"], ["2.png", "1.png"], ["0.png"]]
    now = int(time.time())
    assert len(client.files(directory, startTime=now - 60, endTime=now + 60)) == 5
    assert client.files(directory, startTime=now + 60) == []
    assert client.files(directory, endTime=now - 60) == []


def test_directories_move_and_delete(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    shop, attic = client.directory("shop"), client.directory("attic")
    inner = client.directory("inner", shop)
    assert client.post(MKDIR, name="shop", parentID="", type=1)["code"] == 1, "a name may not repeat"
    client.migrate("http://127.0.0.1/a.png", businessDirID=shop)
    image = client.sandbox.state()["files"][0]
    assert client.post(MOVE, fileIDs=[image["fileId"]], toParentFileID=attic) | {"x-traceID": ""} == {
        "code": 0,
        "message": "ok",
        "data": None,
        "x-traceID": "",
    }
    assert [each["fileId"] for each in client.files(attic)] == [image["fileId"]]
    assert client.post(MOVE, fileIDs=[shop], toParentFileID=inner)["code"] == 1
    assert client.post(DELETE, fileIDs=[attic, "nowhere"])["code"] == 5066
    assert client.post(DELETE, fileIDs=[attic, shop])["code"] == 0
    assert client.files("") == []
    assert client.sandbox.state()["files"] == []
    assert client.get(DETAIL, fileID=image["fileId"])["code"] == 5066
    assert client.send("GET", f"/1815309870/{image['fileId']}.png").status_code == 404


def test_accounts_do_not_see_each_other(neighbour: Neighbour) -> None:
    with Sandbox(accounts={"a": "secret-a", "b": "secret-b"}, fetch=False, delay=0) as sandbox:
        first, second = Client(sandbox), Client(sandbox)
        first.log_in()
        second.log_in(clientID="b", clientSecret="secret-b")
        task_id = first.submit("http://127.0.0.1/a.png")
        assert first.wait(task_id) == 2
        assert second.get(PROGRESS, taskID=task_id)["code"] == 1
        assert second.files("") == []


# Callbacks


@pytest.mark.parametrize(
    ("mode", "count"), [("normal", 1), ("late", 1), ("twice", 2), ("twice-at-once", 2), ("early", 1)]
)
def test_how_often_a_callback_comes(client: Client, neighbour: Neighbour, mode: str, count: int) -> None:
    client.sandbox.configure(callback=mode, callback_delay=0.6, fetch=False)
    before = time.time()
    task_id = client.submit("http://127.0.0.1/a.png", callBackUrl=f"{neighbour.url}/told")
    if mode == "early":
        assert neighbour.received, "before the submission was answered"
    assert client.wait(task_id) == 2
    if mode == "late":
        assert not neighbour.received
    until(lambda: client.sandbox.state()["tasks"][0]["deliveries"] == ["HTTP 204"] * count)
    assert before <= client.sandbox.state()["tasks"][0]["delivered_at"] <= time.time()
    assert len(neighbour.received) == count
    assert len({json.dumps(payload) for _, payload in neighbour.received}) == 1


def test_callbacks_that_never_come_or_find_nobody(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False)
    client.migrate("http://127.0.0.1/a.png", callBackUrl="http://127.0.0.1:9/")
    until(lambda: client.sandbox.state()["tasks"][0]["deliveries"] == ["ConnectError"])
    client.sandbox.configure(callback="never")
    client.migrate("http://127.0.0.1/b.png", callBackUrl=neighbour.url)
    assert client.sandbox.state()["tasks"][0]["deliveries"] == []
    assert not neighbour.received


def test_callbacks_that_lie(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False, callback="lying", fail="bad")
    client.migrate("http://127.0.0.1/good.png", callBackUrl=neighbour.url)
    ((_, lie),) = until(lambda: neighbour.received)
    assert lie["status"] == 1
    assert lie["failReason"]
    assert client.wait(client.submit("http://127.0.0.1/bad.png", callBackUrl=neighbour.url)) == 1
    until(lambda: len(neighbour.received) == 2)
    _, lie = neighbour.received[1]
    good = client.sandbox.state()["files"][0]["fileId"]
    assert (lie["status"], lie["failReason"], lie["fileID"]) == (0, "", good)

    neighbour.received.clear()
    client.sandbox.configure(callback="wrong-file")
    client.migrate("http://127.0.0.1/other.png", callBackUrl=neighbour.url)
    ((_, wrong),) = until(lambda: neighbour.received)
    assert (wrong["status"], wrong["fileID"]) == (0, good)


def test_a_numeric_file_id_is_an_alias(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False, file_id_as="number")
    client.migrate("http://127.0.0.1/a.png", callBackUrl=neighbour.url)
    ((_, payload),) = until(lambda: neighbour.received)
    assert isinstance(payload["fileID"], int)
    assert client.get(DETAIL, fileID=payload["fileID"])["data"] == client.sandbox.state()["files"][0]


# Faults


def test_scripted_answers(client: Client) -> None:
    client.sandbox.configure(
        answers=[
            {"path": "detail$", "body": "<html>no JSON</html>"},
            {"path": "detail$", "status": 302, "headers": {"Location": "http://elsewhere.invalid/"}},
            {"path": "detail$", "body": {"code": 0, "message": "ok", "data": None}, "times": 2},
            {"path": "detail$", "status": 504, "body": "upstream timed out"},
        ]
    )
    answers = [client.send("GET", DETAIL, params={"fileID": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 302, 200, 200, 504, 200]
    assert answers[0].text == "<html>no JSON</html>"
    assert answers[1].headers["Location"] == "http://elsewhere.invalid/"
    assert answers[2].json()["data"] is None
    assert answers[5].json()["code"] == 5066
    assert client.sandbox.state()["answers_left"] == [0, 0, 0, 0]


def test_connections_that_break(client: Client) -> None:
    client.sandbox.configure(
        fetch=False,
        answers=[
            {"path": "download$", "action": "drop"},
            {"path": "download$", "action": "process-then-drop"},
            {"path": "download$", "action": "process-then-answer", "status": 502},
        ],
    )
    for created in (0, 1):
        with pytest.raises(requests.ConnectionError):
            client.post(CREATE, **GOOD)
        assert client.sandbox.state()["counts"]["submissions"] == created
    assert client.send("POST", CREATE, json=GOOD).status_code == 502
    assert client.sandbox.state()["counts"]["submissions"] == 2
    assert client.post(CREATE, **GOOD)["code"] == 0


def test_answers_that_take_long(client: Client) -> None:
    client.sandbox.configure(
        fetch=False,
        answers=[
            {"path": "download$", "action": "process-then-answer", "delay": 60},
            {"path": "download$", "action": "pass", "delay": 0.2},
        ],
    )
    url = client.sandbox.base_url + CREATE
    with pytest.raises(requests.ReadTimeout):
        client.session.post(url, json=GOOD, timeout=0.2)
    assert client.sandbox.state()["counts"]["submissions"] == 1
    began = time.monotonic()
    assert client.post(CREATE, **GOOD)["code"] == 0
    assert time.monotonic() - began >= 0.2


def test_the_gateway(client: Client) -> None:
    client.sandbox.configure(gateway="/oss/", gateway_times=2)
    answers = [client.send("GET", DETAIL, params={"fileID": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].text.startswith("<html>")
    assert answers[0].headers["Content-Type"].startswith("text/html")
    client.sandbox.configure(gateway="/oss/", gateway_times=None, gateway_share=0.5)
    statuses = {client.send("GET", DETAIL, params={"fileID": "x"}).status_code for _ in range(40)}
    assert statuses == {200, 502}


def test_latency(client: Client) -> None:
    client.sandbox.configure(latency="0.15,0.2")
    began = time.monotonic()
    client.get(DETAIL, fileID="x")
    assert time.monotonic() - began >= 0.15


# The routes for tests, the page, the command


def test_wrong_knobs_are_named_and_change_nothing(sandbox: Sandbox) -> None:
    wrong: dict[str, Any] = {
        "bogus": 1,
        "delay": [],
        "latency": "3,1",
        "fail": "(",
        "port": 80,
        "callback": "loud",
    }
    for knob, value in wrong.items():
        answer = requests.put(
            f"{sandbox.base_url}/sandbox/settings", json={knob: value, "rate": 5}, timeout=10
        )
        assert answer.status_code == 422
        assert knob in answer.json()["detail"][0]["loc"]
    with pytest.raises(ValueError, match="bogus"):
        sandbox.configure(bogus=1)
    with pytest.raises(ValueError, match="bogus"):
        Sandbox(bogus=1)
    assert sandbox.configure()["rate"] is None


def test_reset_forgets_all_but_task_ids(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False, delay=60)
    first = client.submit("http://127.0.0.1/a.png")
    client.sandbox.reset()
    state = client.sandbox.state()
    assert state["tasks"] == []
    assert state["files"] == []
    assert state["counts"]["requests"] == {}
    assert client.get(PROGRESS, taskID=first)["code"] == 401
    client.log_in()
    second = client.submit(f"{neighbour.url}/red.png")
    assert second > first
    assert client.wait(second) == 2


def test_the_page_escapes_what_it_shows(client: Client) -> None:
    client.sandbox.configure(fetch=False, fail="bad", fail_reason="<b>bad</b>")
    client.migrate("http://127.0.0.1/<i>.png", fileName="<script>alert(1)</script>.png")
    client.wait(client.submit("http://127.0.0.1/bad.png"))
    page = client.send("GET", "/")
    assert page.status_code == 200
    assert "403" in page.text
    for evil in ("<script", "<i>", "<b>bad"):
        assert evil not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.png" in page.text


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_runs_until_it_is_told_to_stop(stop: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "airflow_provider_123pan.sandbox",
        "--port",
        "0",
        "--accounts",
        "me:my-secret",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = next(word for word in line.split() if word.startswith("http://"))
            assert "me" in line
            assert "my-secret" in line
            assert requests.get(f"{address}/sandbox/health", timeout=10).json() == {"status": "ok"}
            process.send_signal(stop)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_the_command_names_a_wrong_option() -> None:
    command = [sys.executable, "-m", "airflow_provider_123pan.sandbox", "--delay", "3,1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "--delay" in done.stderr


def test_importing_it_is_light_and_free_of_airflow() -> None:
    code = (
        "import sys, airflow_provider_123pan.sandbox as s\n"
        "heavy = {'fastapi', 'uvicorn', 'PIL', 'pydantic', 'httpx', 'airflow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "with s.Sandbox():\n"
        "    pass\n"
        "assert 'airflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
