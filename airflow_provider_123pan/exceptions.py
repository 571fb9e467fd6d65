"""Every error that a user of the provider can meet.

The tree::

    Exception
    ├── Pan123Error                          a call to 123pan, or a wait for its result, failed
    │   ├── Pan123InputError                 (also ValueError) bad input, found before anything was sent
    │   │   └── Pan123NoConnectionError      Airflow gave no connection of this ID
    │   ├── Pan123SourceError                the source of an image did not give it, or did not show its format
    │   ├── Pan123DocumentError              a sitemap or a feed could not be read
    │   ├── Pan123CredentialsError           the login rejected the client ID or the client secret
    │   ├── Pan123RedirectError              the configured host redirects to another one
    │   ├── Pan123ServiceError               the service answered with an error code
    │   ├── Pan123AnswerError                the answer is not what the service documents
    │   │   └── Pan123NoDataError            code 0, but no data
    │   ├── Pan123TransientError             the answer says nothing about the thing requested
    │   │   ├── Pan123TokenError             code 401: the access token was rejected
    │   │   │   └── Pan123AccessTokenError   the token in the connection was rejected
    │   │   ├── Pan123RateLimitError         code 429 and its other wordings
    │   │   ├── Pan123TooManyTasksError      too many offline tasks run at once
    │   │   ├── Pan123VerifyingError         code 20103: the service still verifies the file
    │   │   ├── Pan123UnavailableError       no answer, or one from the gateway
    │   │   └── Pan123LoginLimitError        the provider's own limit on logins is reached
    │   ├── Pan123UploadError                123pan did not take an image's bytes, or stored something else
    │   ├── Pan123DownloadFailedError        123pan could not download or keep the image
    │   ├── Pan123UnknownTaskError           123pan does not know the taskID
    │   ├── Pan123InvisibleError             the offline task succeeded, but its image is not listed
    │   ├── Pan123ImagesError                images have a problem that a check or a copy found
    │   ├── Pan123PagesError                 pages could not be read or written
    │   ├── Pan123WaitTimeoutError           the wait reached its time limit
    │   ├── Pan123WaitError                  an error in the triggerer ended the wait
    │   └── Pan123ResumeError                Airflow resumed a task without its arguments
    ├── InboxUnreachableError                the receiver of callbacks cannot be reached from here
    └── LookupFailedError                    the receiver could not look up a connection

Two attributes of a Pan123Error decide what happens next:

* ``retryable``: the same call may succeed later without any change by the user.
* ``transient``: the error says nothing about the thing requested, so a wait continues.

Each error as a string ends with its ``help_code`` in brackets, such as ``[pan123-token-limit]``: the entry of the page
"Troubleshooting" that has the cause and the fix.
"""

from __future__ import annotations

import copyreg
from typing import Any


class Pan123Error(Exception):
    """A call to 123pan, or a wait for its result, failed.

    :param message: what happened, in the service's words if it gave any, and what to do.
    :param call: the name of the call: the hook's method, such as ``create_offline_download``, or a step of an upload.
    :param code: the code in the body, or the HTTP status if the body is not JSON.
    :param trace_id: the service's ``x-traceID``, which 123pan's support asks for.
    :ivar help_code: the entry of the troubleshooting page; some answers of the service have one of their own.
    """

    retryable = True
    transient = False
    help_code = "pan123-error"

    def __init__(
        self,
        message: str,
        *,
        call: str | None = None,
        code: int | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.call = call
        self.code = code
        self.trace_id = trace_id

    def __str__(self) -> str:
        return f"{self.description} [{self.help_code}]"

    @property
    def description(self) -> str:
        """The error without its help code, for files and reports."""
        facts = [
            f"{label} {value}"
            for label, value in (("code", self.code), ("x-traceID", self.trace_id))
            if value is not None
        ]
        return (
            (f"{self.call}: " if self.call else "")
            + self.message
            + (f" ({', '.join(facts)})" if facts else "")
        )

    def reword(self, message: str) -> None:
        """Replace the message, also where ``repr`` shows it."""
        self.message = message
        self.args = (message,)

    def __reduce__(self) -> tuple[Any, ...]:
        # The default implementation rebuilds the error from ``args`` alone and would lose the keywords.
        return copyreg.__newobj__, (type(self), self.message), self.__dict__  # type: ignore[attr-defined]


class Pan123InputError(Pan123Error, ValueError):
    """Bad input, found before anything was sent; the message names the field and the fix."""

    retryable = False
    help_code = "pan123-input"


class Pan123NoConnectionError(Pan123InputError):
    """Airflow gave no connection of this ID: there is none, or its API server did not answer.

    Airflow reports both alike to a worker. The second one ends by itself, so a retry may help.
    """

    help_code = "pan123-no-connection"
    retryable = True


class Pan123SourceError(Pan123Error):
    """The source of an image did not give it, or did not show its format; found before anything was sent to 123pan."""

    help_code = "pan123-source"


class Pan123DocumentError(Pan123Error):
    """A sitemap or a feed could not be read; the message names it."""

    help_code = "pan123-document"


class Pan123CredentialsError(Pan123Error):
    """The login rejected the client ID or the client secret."""

    retryable = False
    help_code = "pan123-credentials"


class Pan123RedirectError(Pan123Error):
    """The service redirected the call; following it would send the client secret to another host.

    The call may have taken effect. ``retryable`` is True where the call was made once only: one redirect does not show
    that the host is wrong.
    """

    retryable = False
    transient = True
    help_code = "pan123-redirect"


class Pan123ServiceError(Pan123Error):
    """The service answered with a code other than 0; code 1 is its catch-all, so read the message."""

    help_code = "pan123-service"


class Pan123AnswerError(Pan123Error):
    """The answer is not what the service documents: no JSON, no data, or an unknown status."""

    help_code = "pan123-answer"


class Pan123NoDataError(Pan123AnswerError):
    """The service answered with code 0 but without data, which may mean that a taskID is unknown."""

    help_code = "pan123-no-data"


class Pan123TransientError(Pan123Error):
    """An error that says nothing about the thing requested; the call can be repeated."""

    transient = True


class Pan123TokenError(Pan123TransientError):
    """Code 401: the access token has expired, was revoked by a later login, or is wrong."""

    help_code = "pan123-token"


class Pan123RateLimitError(Pan123TransientError):
    """The service rejected the call because of its rate limit (code 429 and its other wordings)."""

    help_code = "pan123-rate-limit"


class Pan123TooManyTasksError(Pan123TransientError):
    """Too many offline tasks of this account run at once."""

    help_code = "pan123-too-many-tasks"


class Pan123VerifyingError(Pan123TransientError):
    """The service still verifies the file (code 20103); it asks to be called again after a second."""

    help_code = "pan123-verifying"


class Pan123UnavailableError(Pan123TransientError):
    """There was no answer, or one from the gateway (HTTP 5xx).

    :param ambiguous: True if the request may have reached the service and taken effect.
    """

    help_code = "pan123-unavailable"

    def __init__(self, message: str, *, ambiguous: bool = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.ambiguous = ambiguous


class Pan123UploadError(Pan123Error):
    """123pan's storage did not take the bytes of an image, or 123pan stored something else; upload again."""

    help_code = "pan123-upload"


class Pan123DownloadFailedError(Pan123Error):
    """123pan could not download or keep the image; a new submission may succeed."""

    help_code = "pan123-download-failed"


class Pan123UnknownTaskError(Pan123Error):
    """123pan does not know the taskID (any more), and no image of that name is stored."""

    retryable = False
    help_code = "pan123-unknown-task"


class Pan123InvisibleError(Pan123Error):
    """The offline task succeeded, but its image is not listed in the directory."""

    help_code = "pan123-invisible"


class Pan123ImagesError(Pan123Error):
    """A check or a copy found more images with a problem than ``max_failures`` allows."""

    retryable = False
    help_code = "pan123-images"


class Pan123PagesError(Pan123Error):
    """Pages could not be read or written; after a migration, a retry does these and leaves those that are done."""

    help_code = "pan123-pages"


class Pan123WaitTimeoutError(Pan123Error):
    """The wait reached its time limit."""

    help_code = "pan123-timeout"


class Pan123WaitError(Pan123Error):
    """An error in the triggerer ended the wait; it carries the call, the code and the trace ID."""

    help_code = "pan123-wait"


class Pan123ResumeError(Pan123Error):
    """Airflow resumed a deferred task without the arguments that it deferred with."""

    retryable = False
    help_code = "pan123-resume"


class Pan123AccessTokenError(Pan123TokenError):
    """The service rejected the connection's ``access_token``; replace it in the connection.

    A wait continues until then.
    """

    retryable = False
    help_code = "pan123-access-token"


class Pan123LoginLimitError(Pan123TransientError):
    """The provider made as many logins as it allows in ten minutes, and no token was accepted."""

    help_code = "pan123-login-limit"


class InboxUnreachableError(Exception):
    """No receiver answers at the URL of the inbox; waits fall back to polling progress."""

    help_code = "pan123-inbox"

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.help_code}]"


class LookupFailedError(Exception):
    """A secrets backend or the database could not be reached, so it is unknown whether a connection exists."""

    help_code = "pan123-lookup"


def may_have_arrived(error: BaseException) -> bool:
    """Return True if a failed call may have taken effect; False if the login before it failed."""
    if not isinstance(error, Pan123Error) or error.call == "login":
        return False
    return isinstance(error, (Pan123AnswerError, Pan123RedirectError)) or getattr(error, "ambiguous", False)
