"""Which error the code and the words of a refusal mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from airflow_provider_123pan.exceptions import (
    Pan123CredentialsError,
    Pan123Error,
    Pan123RateLimitError,
    Pan123ServiceError,
    Pan123TokenError,
    Pan123TooManyTasksError,
    Pan123UnavailableError,
    Pan123VerifyingError,
)
from airflow_provider_123pan.service.error_codes import (
    AMBIGUOUS_STATUSES,
    CREDENTIAL_WORDS,
    INTERNAL,
    NAME_TAKEN,
    NO_DEVELOPER,
    NUMBER_EXCEEDED,
    RATE_LIMIT_CODES,
    RATE_LIMIT_WORDS,
    SERVICE_FAILURE_WORDS,
    SPECIFIC_CODES,
    TAKEN,
    TOO_MANY_TASKS,
    TRAFFIC_EXCEEDED,
    VERIFYING,
)

ErrorKind = Callable[..., Pan123Error]

_CREDENTIALS = re.compile("|".join(CREDENTIAL_WORDS), re.IGNORECASE)


def error_kind(code: int, message: str, *, login: bool) -> ErrorKind:
    """Return the class of the error that a refusal is.

    :param code: of the body, or the HTTP status if that says more.
    :param login: the refused call is the login.
    """
    if code in RATE_LIMIT_CODES:
        return Pan123RateLimitError
    if code == VERIFYING:
        return Pan123VerifyingError
    if code not in SPECIFIC_CODES or login:
        if TOO_MANY_TASKS in message:
            return Pan123TooManyTasksError
        if any(words in message for words in RATE_LIMIT_WORDS) and not (
            login and _blames_credentials(message)
        ):
            return Pan123RateLimitError
    if 500 <= code < 600:
        return partial(Pan123UnavailableError, ambiguous=code in AMBIGUOUS_STATUSES)
    if login:
        return _login_error_kind(code, message)
    return Pan123TokenError if code == 401 else Pan123ServiceError


def _login_error_kind(code: int, message: str) -> ErrorKind:
    """Return the class of the error that a refused login is.

    The limit on tokens says nothing about the credentials. Nor does code 1, which is used for almost everything
    (observed), unless its message names them.
    """
    if NUMBER_EXCEEDED in message.lower():
        return Pan123TokenError
    if _says(message, SERVICE_FAILURE_WORDS) or (code == INTERNAL and not _blames_credentials(message)):
        return Pan123UnavailableError
    return Pan123CredentialsError


def _blames_credentials(message: str) -> bool:
    return _CREDENTIALS.search(message) is not None and not _says(message, SERVICE_FAILURE_WORDS)


def _says(message: str, words: tuple[str, ...]) -> bool:
    return any(word in message.lower() for word in words)


def advice_for(kind: ErrorKind, code: int, message: str) -> str:
    """Return advice for errors whose message from the service gives none."""
    if NO_DEVELOPER in message:
        return "; the account needs 123pan's developer package"
    if code == TRAFFIC_EXCEEDED:
        return "; the account's download traffic is used up: buy more on 123pan, or wait until it is renewed"
    if kind is Pan123CredentialsError:
        return "; check the connection's login (client ID) and password (client secret)"
    return ""


def concerns_account(error: Pan123ServiceError) -> bool:
    """Return whether an error code refuses the account, and not the image of the call."""
    return error.code == TRAFFIC_EXCEEDED or NO_DEVELOPER in error.message


def is_name_taken(error: Pan123ServiceError) -> bool:
    """Return whether an image was refused because another one has its name."""
    return error.code == NAME_TAKEN or TAKEN in error.message
