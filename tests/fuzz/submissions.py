"""XComs that a sensor waits for: each is a submission that can be waited for, or an error."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_123pan.download.submission import Submission
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.values import DEEP_JSON, LONG_NUMBER, any_json, changed, numbers, texts

EXAMPLES = 10_000

SUBMISSION = {
    "taskID": 403316,
    "url": "https://example.com/a.jpg?X-Amz-Signature=0123456789",
    "file_name": "a.jpg",
    "directory_id": None,
    "callback_id": "0123456789abcdef" * 2,
    "submitted_at": "2026-11-25T08:00:00+00:00",
}

optional_texts = st.none() | texts
near_submissions = changed(SUBMISSION) | st.fixed_dictionaries(
    {
        "taskID": st.integers(1) | numbers | st.none(),
        "url": optional_texts,
        "file_name": optional_texts,
        "directory_id": optional_texts,
        "callback_id": st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
        "submitted_at": st.none() | st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | texts,
    }
)
xcoms = (
    near_submissions
    | any_json
    | st.lists(near_submissions, max_size=3)
    | st.tuples(st.sampled_from(sorted(SUBMISSION)), any_json)
    | st.binary(max_size=10)
)


@given(xcoms)
@example(LONG_NUMBER)
@example({"taskID": LONG_NUMBER})
@example([SUBMISSION, SUBMISSION])
@example((SUBMISSION, SUBMISSION))
@example([["taskID", 7], SUBMISSION])
@example({**SUBMISSION, "callback_id": "0" * 31 + "G"})
@example({**SUBMISSION, "submitted_at": DEEP_JSON})
@example({**SUBMISSION, "submitted_at": "9999-12-31T23:59:59-12:00"})
def an_xcom_is_a_submission_or_an_error(xcom: Any) -> None:
    submission = value_or_error(lambda: Submission.parse(xcom), Submission)
    if submission is None:
        return
    assert Submission.parse(submission.xcom()) == submission
    assert submission.moment is None or submission.moment.tzinfo is not None
    assert "0123456789" not in submission.redacted_url


def fuzz(examples: int, seed: int) -> str:
    """Check the property."""
    return run_properties((an_xcom_is_a_submission_or_an_error,), examples, seed)
