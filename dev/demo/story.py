"""The steps of the demo: a blog, the sandbox, Airflow, and one run of an example DAG."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import requests

from dev import images
from dev.cluster import PASSWORD, USERNAME, Cluster
from dev.demo.blog import NORTH, REFERER, Blog, published
from dev.demo.outcome import Outcome, read_records
from dev.demo.screen import Screen, Step
from dev.supervised_process import SupervisedProcess
from dev.waiting import wait_for

DAG_ID = "example_pan123_pages_blog"
CONN_ID = "pan123_default"
DONE = {"success", "failed", "upstream_failed", "skipped", "removed"}
DELAY_SECONDS = "1,3"  # that the sandbox takes to fetch an image
TIMEOUT_SECONDS = 600
#: The path of the provider's page in Airflow's UI, and what leads to it.
PROVIDER_PAGE, PROVIDER_MENU = "/plugin/pan123", "“123pan” in Airflow's navigation"


class DemoError(RuntimeError):
    """The demo cannot continue; the message gives the reason."""


class Story:
    """The demo, whose steps are its methods in this order."""

    blog: Blog
    sandbox: str
    airflow: Cluster

    def __init__(self, screen: Screen, home: Path, stack: ExitStack) -> None:
        """Print to the screen and write below `home`; the stack ends what is started."""
        self._screen, self._home, self._stack = screen, home, stack
        self._http = stack.enter_context(closing(requests.Session()))
        self._http.trust_env = False  # all servers are on loopback
        self._run_id = ""

    def tell(self) -> Outcome:
        """Show all steps, and return what came of them."""
        self._publish()
        self._start()
        self._plan()
        self._migrate()
        self._show_pages()
        return self._check()

    def _publish(self) -> None:
        with self._screen.step("A blog, with images on two old hosts") as step:
            self.blog = blog = self._stack.enter_context(published(self._home / "blog", images.pictures()))
            guarded = sum(url.startswith(f"{blog.guarded}/") for url in blog.images)
            step.done(
                f"{len(blog.pages)} Markdown pages show {len(blog.images)} images",
                f"{len(blog.images) - guarded} at {blog.old}",
                f"{guarded} at {blog.guarded}, which wants a Referer",
            )

    def _start(self) -> None:
        with self._screen.step("A local 123pan, and Airflow") as step:
            step.wait("Starting the sandbox")
            client_id, secret = self._start_sandbox()
            step.done(f"The sandbox, a local 123pan, is at {self.sandbox}")
            step.wait("Starting Airflow, which takes about half a minute")
            self.airflow = self._stack.enter_context(Cluster(home=self._home / "airflow"))
            step.done(f"Airflow is at {self.airflow.url}")
            step.wait("Waiting for the DAG")
            api = self.airflow.api
            api.set_connection(
                CONN_ID,
                conn_type="pan123",
                host=self.sandbox,
                login=client_id,
                password=secret,
                extra={"callback_base_url": self.airflow.url},
            )
            api.set_variable("example_pan123_private_hosts", ["127.0.0.1", "localhost"])
            self.airflow.wait_for_dag(DAG_ID)
            step.done(f"Airflow knows the connection {CONN_ID}", f"and the DAG {DAG_ID}")

    def _start_sandbox(self) -> tuple[str, str]:
        """Start the sandbox, and return the client ID and the client secret."""
        command = [sys.executable, "-m", "airflow_provider_123pan.sandbox", "--port", "0"]
        command += ["--delay", DELAY_SECONDS]
        process_tree = self._stack.enter_context(SupervisedProcess(command, log=self._home / "sandbox.log"))

        def ready() -> re.Match[str] | None:
            if process_tree.returncode is not None:
                raise DemoError(f"the sandbox ended by itself:\n{process_tree.tail()}")
            return re.search(r"at (\S+) with client ID (\S+) and client secret (\S+)", process_tree.tail())

        self.sandbox, client_id, client_secret = wait_for(ready, what="the sandbox", timeout=60).groups()
        return client_id, client_secret

    def _plan(self) -> None:
        with self._screen.step('Plan: Pan123MigratePagesOperator(mode="plan")') as step:
            conf = {
                "pages": f"file://{self.blog.folder}",
                "work": f"file://{self._home}",
                "fetch_headers": {"localhost": {"Referer": REFERER}},
            }
            self._run_id = self.airflow.api.trigger(DAG_ID, conf)
            planned = self._result("plan", step)
            step.done(
                f"{planned['pages_changed']} of {planned['pages']} pages would change, "
                f"{planned['missing']} images are missing on 123pan",
                f"{planned['calls']} calls to 123pan; nothing is submitted or written yet",
            )

    def _migrate(self) -> None:
        with self._screen.step('Migrate: Pan123MigratePagesOperator(fetch="auto")') as step:
            step.wait("123pan fetches the images")
            self._migrated = self._result("migrate", step)
            self._records = read_records(self._migrated["results"])
            by = [record.fetched_by for record in self._records]
            step.done(
                f"{by.count('service')} images fetched by 123pan itself",
                f"{by.count('worker')} uploaded by the worker, which sent its host the Referer {REFERER}",
                f"{self._migrated['failed']} failed",
            )

    def _show_pages(self) -> None:
        changed = [name for name, page in self.blog.pages.items() if self.blog.text(name) != page]
        with self._screen.step("The pages now show the new URLs, such as this one") as step:
            step.done(f"{len(changed)} of {len(self.blog.pages)} pages rewritten")
            step.diff(NORTH, self.blog.pages[NORTH], self.blog.text(NORTH))

    def _check(self) -> Outcome:
        with self._screen.step("Check: Pan123CheckImagesOperator") as step:
            checked = self._result("check", step)
            step.done(f"{checked['healthy']} of {checked['images']} images are healthy")
            state = self.airflow.api.wait_for_run(DAG_ID, self._run_id)
            return Outcome.of(
                self.blog, self._records, checked, succeeded=state == "success", load=self._load
            )

    def _result(self, task_id: str, step: Step) -> dict[str, Any]:
        """Wait until a task has succeeded, and return its result."""
        api = self.airflow.api

        def end() -> str | None:
            state = api.states(DAG_ID, self._run_id).get((task_id, -1))
            return state if state in DONE else None

        state = wait_for(end, what=f"the end of the task {task_id}", timeout=TIMEOUT_SECONDS, every=0.5)
        if state != "success":
            reasons = (
                api.error(DAG_ID, self._run_id, task["task_id"], attempt=task["try_number"])
                for task in api.task_instances(DAG_ID, self._run_id)
                if task["state"] == "failed"
            )
            reason = next(filter(None, reasons), "see the log of the task")
            raise DemoError(f"the task {task_id} ended as {state}: {reason}")
        found: dict[str, Any] = api.xcom(DAG_ID, self._run_id, task_id)
        return found

    def _load(self, url: str) -> bytes | None:
        reply = self._http.get(url, timeout=30)
        return reply.content if reply.ok else None

    def show_places(self) -> None:
        """Print where everything is."""
        url = self.airflow.url
        self._screen.places(
            {
                "Airflow": (f"{url}/dags/{DAG_ID}", f"login {USERNAME}, password {PASSWORD}"),
                "123pan page": (f"{url}{PROVIDER_PAGE}", PROVIDER_MENU),
                "Sandbox": (f"{self.sandbox}/",),
                "Pages": (self.blog.folder,),
                "Reports": tuple(self._home / f"{name}.html" for name in ("plan", "migration", "check")),
            }
        )
