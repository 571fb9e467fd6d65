"""What can go wrong with a call: every error names the call, the code, the message and the trace id.

Two questions decide what happens next, and each kind answers both:

* ``retryable``: may the same call succeed later without anybody changing anything?
* ``transient``: does it say nothing about the thing that was asked for, so that a wait goes on?
"""

from __future__ import annotations

import copyreg
from typing import Any


class Pan123Error(Exception):
    """A call to 123pan failed.

    :param message: what was seen, in the service's words where it gave any, and what to do.
    :param call: the call, by the name of the hook's method (``create_offline_download``).
    :param code: the body's code, or the HTTP status where the body is not JSON.
    :param trace_id: the service's ``x-traceID``; its support asks for it.
    """

    retryable = True
    transient = False

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

    def __reduce__(self) -> tuple[Any, ...]:
        # The default rebuilds from args alone and would lose the keywords.
        return copyreg.__newobj__, (type(self), self.message), self.__dict__  # type: ignore[attr-defined]


class Pan123InputError(Pan123Error, ValueError):
    """Bad input, found before anything was sent: the message names the field and the fix."""

    retryable = False


class Pan123CredentialsError(Pan123Error):
    """The login refused the client ID or the client secret."""

    retryable = False


class Pan123RedirectError(Pan123Error):
    """A redirect was answered; following it would hand the login's body to another host."""

    retryable = False


class Pan123ServiceError(Pan123Error):
    """The service answered a code that is not 0; code 1 is its catch-all, so read the message."""


class Pan123AnswerError(Pan123Error):
    """The answer is not what the service documents: not JSON, null data, an unknown status."""


class Pan123NoDataError(Pan123AnswerError):
    """Code 0, but no data: for a question about an offline task this may mean that it is unknown."""


class Pan123TransientError(Pan123Error):
    """An error that says nothing about what was asked for: ask again."""

    transient = True


class Pan123TokenError(Pan123TransientError):
    """Code 401: the access token is expired, was knocked off by another login, or is wrong."""


class Pan123RateLimitError(Pan123TransientError):
    """Too many requests (code 429 and its other wordings)."""


class Pan123TooManyTasksError(Pan123TransientError):
    """Too many offline tasks run at once for this account."""


class Pan123UnavailableError(Pan123TransientError):
    """No answer, or one of the gateway's (HTTP 5xx).

    :param ambiguous: the request may have reached the service and been carried out.
    """

    def __init__(self, message: str, *, ambiguous: bool = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.ambiguous = ambiguous


class Pan123DownloadFailedError(Pan123Error):
    """The service could not fetch or keep the image; a new submission may."""


class Pan123UnknownTaskError(Pan123Error):
    """The service knows the taskID no longer, and no image of its name is there."""

    retryable = False


class Pan123InvisibleError(Pan123Error):
    """The task succeeded, but its image does not show up."""


class Pan123WaitTimeoutError(Pan123Error):
    """The wait's own time-out."""


class Pan123WaitError(Pan123Error):
    """An error that ended the wait in the triggerer, with its call, code and trace id."""


class Pan123AccessTokenError(Pan123TokenError):
    """The connection's own token is refused: a person has to replace it; a wait goes on until then."""

    retryable = False


class Pan123LoginLimitError(Pan123TransientError):
    """All logins that the provider makes within ten minutes were made, and still no token is taken."""


class InboxUnreachableError(Exception):
    """No receiver answers at the inbox's address; progress still does."""


class LookupFailedError(Exception):
    """Where connections are kept could not be asked, so nothing is known."""


def may_have_arrived(error: BaseException) -> bool:
    """Whether a call that failed may have been carried out all the same; not if the login before it failed."""
    if not isinstance(error, Pan123Error) or error.call == "login":
        return False
    return isinstance(error, Pan123AnswerError) or getattr(error, "ambiguous", False)
