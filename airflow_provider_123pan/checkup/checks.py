"""What each check reports: one pure function per check, from the facts that were gathered for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.callbacks.address import CLOCK_SKEW, PATH
from airflow_provider_123pan.exceptions import (
    InboxUnreachableError,
    Pan123Error,
    Pan123InputError,
    Pan123TokenError,
)
from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY, same_directory_name
from airflow_provider_123pan.service.models import Listing
from airflow_provider_123pan.service.redaction import redact_url

CLOCK_WARNING_SECONDS = 60
CLOCK_FAILURE_SECONDS = CLOCK_SKEW  # beyond it, a receiver on time rejects this machine's tokens

#: The names of the checks, in their order.
NAMES = CONNECTION, TOKEN, LISTING, CLOCK, INBOX, CALLBACK = (
    "connection",
    "access token",
    "list call",
    "clock",
    "inbox",
    "callback URL",
)


class Status(str, Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report.

    :ivar text: what was found; for a warning or a failure also what to do.
    """

    name: str
    status: Status
    text: str


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What one list call showed.

    :ivar logged_in: whether a login was made for it.
    :ivar listing: the first page of the root directory, or the error of the call or of its login.
    :ivar clock_ahead: seconds by which this machine's clock is ahead of the service's; None if the answer has no date.
    """

    logged_in: bool
    listing: Listing | Exception
    clock_ahead: float | None = None


@dataclass(frozen=True, slots=True)
class InboxFacts:
    """What a look-up in the inbox showed.

    :ivar base_url: the URL at which this machine reaches the receiver.
    :ivar error: why there was no answer: an unusable secret, or the error of the look-up; None if there was one.
    :ivar health: the ``inbox`` field of the receiver's health if the look-up failed; None if no receiver answered.
    """

    base_url: str
    error: Pan123InputError | InboxUnreachableError | None = None
    health: str | None = None


@dataclass(frozen=True, slots=True)
class CallbackFacts:
    """What a test delivery showed.

    :ivar base_url: the connection's ``callback_base_url``.
    :ivar addresses: those of its host, as this machine resolves it.
    :ivar answer: the HTTP status of the POST, or why there was none.
    :ivar stored: whether the delivery was found in the inbox, or why the inbox could not be read.
    """

    base_url: str
    addresses: Sequence[IPv4Address | IPv6Address]
    answer: int | Exception
    stored: bool | InboxUnreachableError = False


def connection(found: ConnectionSettings | Pan123Error) -> Result:
    """Report whether the connection exists and its fields are valid."""
    if isinstance(found, Pan123Error):
        return Result(CONNECTION, Status.FAILED, found.description)
    who = f"client ID {found.client_id}" if found.client_id else "an access_token"
    return Result(
        CONNECTION, Status.OK, f"{found.conn_id} is valid, with {who} for {found.endpoint.base_url}"
    )


def access_token(settings: ConnectionSettings, facts: ServiceFacts) -> Result:
    """Report whether a stored token or a login works."""
    used = "the connection's access_token" if settings.access_token else "the stored token"
    error = facts.listing if isinstance(facts.listing, Exception) else None
    if error is not None and _is_about_token(error):
        return Result(TOKEN, Status.FAILED, _described(error))
    if facts.logged_in:
        return Result(TOKEN, Status.OK, "the login works")
    if error is not None:
        return Result(TOKEN, Status.SKIPPED, f"{used} is untested because the list call failed")
    return Result(TOKEN, Status.OK, f"{used} works, so no login was made to test the client secret")


def listing(facts: ServiceFacts) -> Result:
    """Report whether a list call works, and which directory it shows."""
    found = facts.listing
    if isinstance(found, Exception):
        if _is_about_token(found):
            return Result(LISTING, Status.SKIPPED, "there is no valid access token")
        return Result(LISTING, Status.FAILED, _described(found))
    more = "at least " if found.last_file_id is not None else ""
    text = (
        f"the root directory has {more}{_count(len(found.directories), 'directory', 'directories')} "
        f"and {_count(len(found.images), 'image', 'images')}"
    )
    for directory in found.directories:
        if same_directory_name(directory.name, DEFAULT_DIRECTORY):
            text += f"; downloads go to {directory.name} by default (ID {directory.directory_id})"
    return Result(LISTING, Status.OK, text)


def clock(facts: ServiceFacts) -> Result:
    """Report how much the clocks of this machine and the service differ."""
    if isinstance(facts.listing, Exception):
        return Result(CLOCK, Status.SKIPPED, "the list call got no answer that states the service's time")
    if facts.clock_ahead is None:
        return Result(CLOCK, Status.SKIPPED, "the service's answer has no Date header")
    seconds = abs(facts.clock_ahead)
    if seconds <= CLOCK_WARNING_SECONDS:
        return Result(
            CLOCK, Status.OK, f"at most {CLOCK_WARNING_SECONDS} seconds ahead of or behind the service's"
        )
    difference = _count(round(seconds / 60), "minute", "minutes")
    return Result(
        CLOCK,
        Status.FAILED if seconds > CLOCK_FAILURE_SECONDS else Status.WARNING,
        f"{difference} {'ahead of' if facts.clock_ahead > 0 else 'behind'} the service's; synchronize this machine's "
        "clock, such as with NTP",
    )


def inbox(settings: ConnectionSettings, facts: InboxFacts | None) -> Result:
    """Report whether the inbox can be read from here.

    :param facts: None if callbacks are not configured.
    """
    if facts is None:
        return Result(
            INBOX,
            Status.OK,
            "not needed: callback_base_url is empty, so there are no callbacks and waiting tasks poll for progress",
        )
    if facts.error is None:
        return Result(INBOX, Status.OK, f"readable at {redact_url(facts.base_url)}")
    if isinstance(facts.error, Pan123InputError):
        return Result(INBOX, Status.FAILED, f"there are no callbacks: {facts.error.description}")
    if facts.health is None:
        advice = "set [pan123] inbox_url to the URL at which this machine reaches the receiver"
    elif facts.health == "ready":
        advice = (
            f"a receiver is there, and it must have the same secret for connection {settings.conn_id!r}, and a clock "
            f"that differs by {CLOCK_SKEW // 60} minutes at most"
        )
    else:
        advice = "a receiver is there, but its database is unavailable; see its log"
    return Result(INBOX, Status.FAILED, f"{facts.error.args[0]}; {advice}")


def callback_url(inbox_facts: InboxFacts | None, facts: CallbackFacts | None) -> Result:
    """Report whether a delivery to a callback URL arrives in the inbox, and whether 123pan could make one.

    :param inbox_facts: None if callbacks are not configured.
    :param facts: None if no delivery was made.
    """
    if inbox_facts is None:
        return Result(CALLBACK, Status.SKIPPED, "there are no callbacks")
    if facts is None:
        return Result(CALLBACK, Status.SKIPPED, "the inbox, which would show a test delivery, cannot be read")
    url = f"{redact_url(facts.base_url)}{PATH}***"
    if problem := _delivery_problem(facts, url, redact_url(inbox_facts.base_url)):
        return Result(CALLBACK, Status.FAILED, problem)
    text = f"a test delivery to {url} arrived in the inbox"
    if warnings := _reachability_warnings(facts):
        return Result(CALLBACK, Status.WARNING, f"{text}, but {', and '.join(warnings)}")
    return Result(CALLBACK, Status.OK, text)


def _delivery_problem(facts: CallbackFacts, url: str, inbox_url: str) -> str | None:
    """Return why the test delivery did not arrive and what to do, or None if it did."""
    if isinstance(facts.answer, Pan123InputError):
        return facts.answer.description
    if isinstance(facts.answer, Exception):
        return (
            f"no answer from {url}: {facts.answer}; check callback_base_url, its DNS name and certificate, and the "
            "proxy in front of the receiver"
        )
    if facts.answer == 503:
        return f"HTTP 503 from {url}: the receiver or its database is unavailable; see its log"
    if not 200 <= facts.answer < 300:
        return (
            f"HTTP {facts.answer} from {url}: callback_base_url, or the proxy behind it, does not lead to the receiver "
            f"that is read at {inbox_url}"
        )
    if isinstance(facts.stored, InboxUnreachableError):
        return f"the delivery was accepted, but the inbox cannot be read: {facts.stored.args[0]}"
    if not facts.stored:
        return (
            f"HTTP {facts.answer} from {url}, but the delivery is not in the inbox at {inbox_url}: both must be "
            "receivers with the same database"
        )
    return None


def _reachability_warnings(facts: CallbackFacts) -> list[str]:
    """Return what keeps 123pan from calling safely although a delivery from here arrived."""
    parts = urlsplit(facts.base_url)
    warnings = []
    if any(not address.is_global for address in facts.addresses):
        warnings.append(f"{parts.hostname} is a loopback or private address, which 123pan cannot reach")
    if parts.scheme == "http":
        warnings.append("plain http shows callback URLs to the network: use https")
    return warnings


def _is_about_token(error: Exception) -> bool:
    """Return True if a list call failed before or because of its token."""
    if isinstance(error, Pan123Error):
        return isinstance(error, Pan123TokenError) or error.call == "login"
    return True


def _described(error: Exception) -> str:
    if isinstance(error, Pan123Error):
        return error.description
    return (
        f"the Variable with the shared token cannot be read or written here ({type(error).__name__}); run this where "
        '"airflow variables list" works; a new Airflow needs "airflow db migrate" first'
    )


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
