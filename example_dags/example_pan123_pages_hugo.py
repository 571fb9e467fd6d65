"""Migrate the images of a Hugo site after a person has approved the plan.

This DAG shows how to move a site that is in a Git repository. `checkout` clones the repository, or brings the working
copy up to date. `plan` writes a report of what would change, and changes nothing. If it would change no page, the run
ends there. Otherwise `approve` waits for a person, who reads the report and answers in Airflow's UI under Required
Actions. If the answer is Reject, or there is none for a week, nothing is submitted or written. `apply` migrates the
images and rewrites the pages, and `push` commits them to a branch of its own. Open a pull request for that branch:
closing it, or reverting it later, is the way back.

All workers must share the folder `work`, and `git` must be able to push without a password. The working copy belongs
to the DAG: each run discards what is not committed in it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator

CHECKOUT = """\
set -e
test -d "$SITE" || git clone --quiet -- "$REPOSITORY" "$SITE"
cd "$SITE"
git fetch --quiet origin
git switch --quiet --discard-changes --detach origin/HEAD
"""

PUSH = """\
set -e
cd "$SITE"
git switch --quiet --force-create "$BRANCH"
git diff --quiet HEAD || git commit --quiet --all --message "Show images from 123pan"
git push --quiet --force origin "$BRANCH"
"""

PLAN = """\
{% set plan = ti.xcom_pull("plan") %}
- Pages that change: **{{ plan.pages_changed }}** of {{ plan.pages }}
- Images to submit: **{{ plan.missing }}**
- Images on 123pan already: **{{ plan.present }}**
- Images that cannot be migrated: **{{ plan.failed }}**
- Expected time: **{{ plan.seconds | round | int }} s**

The report shows the changes of each page: `{{ plan.report }}`
"""


@dag(
    schedule=None,
    max_active_runs=1,  # runs share the working copy
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "repository": Param("git@example.com:me/site.git", type="string", title="Git repository"),
        "work": Param(
            "/shared/123pan", type="string", title="Folder for the working copy, reports and the journal"
        ),
    },
)
def example_pan123_pages_hugo() -> None:
    """Migrate the images of the site in `repository`."""
    git: Any = {
        "env": {
            "REPOSITORY": "{{ params.repository }}",
            "SITE": "{{ params.work }}/site",
            "BRANCH": "images-{{ dag_run.run_after | ts_nodash }}",
        },
        "append_env": True,
        "retries": 3,
    }
    migration: Any = {
        "pages": "{{ params.work }}/site",
        "exclude": ["themes", "public", "resources", "node_modules"],
        "directory": "site",
        "journal": "{{ params.work }}/journal",
        "retries": 3,
    }
    checkout = BashOperator(task_id="checkout", bash_command=CHECKOUT, **git)
    plan = Pan123MigratePagesOperator(task_id="plan", mode="plan", **migration)

    @task.short_circuit
    def changes(planned: Any) -> bool:
        """Skip the rest if no page would change."""
        return bool(planned["pages_changed"])

    approve = ApprovalOperator(
        task_id="approve",
        subject="Change {{ ti.xcom_pull('plan')['pages_changed'] }} pages of the site?",
        body=PLAN,
        response_timeout=timedelta(days=7),
    )
    apply = Pan123MigratePagesOperator(
        task_id="apply",
        max_failures="100%",  # an image that is gone keeps its URL, and the report names it
        deferrable=True,
        timeout=timedelta(hours=12),
        **migration,
    )
    push = BashOperator(task_id="push", bash_command=PUSH, **git)

    checkout >> plan
    changes(plan.output) >> approve >> apply >> push


example_pan123_pages_hugo()
