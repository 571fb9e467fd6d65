"""The example DAG that checks images runs in a real Airflow: what is gone comes back, and a mail says so."""

from __future__ import annotations

import json
from email.message import EmailMessage
from typing import Any

from airflow_provider_123pan.sync.results import read_results
from dev.example_run import ExampleRun
from dev.waiting import wait_for
from tests.system.examples.mailbox import Mailbox

KEYS = ("images", "healthy", "failed", "gone")


def found(run: ExampleRun) -> dict[str, Any]:
    return {key: run.xcom("check", key) for key in KEYS}


def next_mail(mails: Mailbox, count: int) -> EmailMessage:
    return wait_for(lambda: mails.mails[count - 1 : count], what=f"mail {count}", timeout=60)[0]


def test_gone_images_come_back_and_a_mail_says_so(example_check: ExampleRun, mails: Mailbox) -> None:
    run = example_check
    run.succeed(submissions=2)
    assert found(run) == {"images": 2, "healthy": 0, "failed": 2, "gone": 2}
    report = run.folder / "reports" / f"{run.day}.html"
    lines = report.with_suffix(".jsonl").read_text().splitlines()
    assert {json.loads(line)["url"] for line in lines} == {*run.urls}
    again = run.folder / "reports" / f"{run.day}-again.jsonl"
    assert [record.status for record in read_results(str(again))] == ["migrated"] * 2
    mail = next_mail(mails, 1)
    assert mail["Subject"] == "2 images on 123pan have a problem"
    assert mail["To"] == "images@example.com"
    body = mail.get_body(("html",))
    assert body is not None
    assert "0 of 2 images are healthy. Gone: 2" in body.get_content()
    assert "Migrated again: 2" in body.get_content()

    healthy = run.folder / "healthy.jsonl"
    healthy.write_bytes(again.read_bytes())
    run.conf["results"] = f"file://{healthy}"
    run.start().succeed(submissions=2)
    assert found(run) == {"images": 2, "healthy": 2, "failed": 0, "gone": 0}
    assert next_mail(mails, 2)["Subject"] == "0 images on 123pan have a problem"
