"""The blocking client, which performs the steps of flows with ``requests``."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar

import requests
from urllib3.exceptions import HTTPError, MaxRetryError

from airflow_provider_123pan.service.body import BodyError, BodyReader
from airflow_provider_123pan.service.endpoint import HEADERS, Endpoint
from airflow_provider_123pan.service.exchange import exchange
from airflow_provider_123pan.service.flow import Blocking, Flow, NeedToken, Sleep, Slot, TokenSource, drive
from airflow_provider_123pan.service.protocol import Answer, Call, MakeCall, Send, Step
from airflow_provider_123pan.service.session import TokenAuth, make_session, settings_for
from airflow_provider_123pan.service.storage import PutSlice, Storage
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.time_limit import time_limit
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

T = TypeVar("T")

_CHUNK_BYTES = 65_536


class Pan123Client:
    """A client for one or several threads; use it as a context manager, or call :meth:`close`."""

    def __init__(self, endpoint: Endpoint, tokens: TokenSource, throttle: Throttle) -> None:
        self.throttle = throttle
        self._endpoint = endpoint
        self._storage = Storage(endpoint)
        self._tokens = tokens
        self._token_lock = threading.Lock()
        self.session = make_session(endpoint)
        self.session.headers.update(HEADERS)
        # The environment's proxy and CA bundle are resolved once instead of for each request.
        self._settings = settings_for(self.session, endpoint.base_url)

    def call(
        self,
        call: Call[T],
        retry_for: float = RETRY_FOR_SECONDS,
        *,
        retry_too_many_for: float = RETRY_FOR_SECONDS,
    ) -> T:
        """Make a call as described for :func:`~airflow_provider_123pan.service.exchange.exchange`."""
        flow = exchange(call, self.throttle, retry_for, retry_too_many_for=retry_too_many_for)
        return drive(flow, self._perform)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow and return its result."""
        return drive(flow, self._perform)

    def token(self, refused: str | None = None) -> str:
        """Return an access token other than ``refused``."""
        if (token := self._tokens.cached(refused)) is not None:
            return token
        with self._token_lock:
            return self._tokens.cached(refused) or drive(self._tokens.obtain(refused), self._perform)

    def authorized_session(self) -> requests.Session:
        """Return the session, authorized for requests that the caller makes with it."""
        self.session.auth = TokenAuth(self.token())
        return self.session

    def close(self) -> None:
        """Close all connections."""
        self.session.close()
        self._storage.close()

    def __enter__(self) -> Pan123Client:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def _perform(self, step: Step | PutSlice) -> Any:
        match step:
            case Send():
                return self._send(step)
            case Sleep():
                return time.sleep(step.seconds) if step.seconds > 0 else None
            case Slot():
                # One thread at a time, since the rate may have changed by the time of a slot that is far ahead.
                with self.throttle.slots:
                    pause = self.throttle.reserve()
                    return time.sleep(pause) if pause > 0 else None
            case NeedToken():
                return self.token(step.refused)
            case MakeCall():
                return self.call(step.call, step.retry_for)
            case Blocking():
                return step.function()
            case PutSlice():
                return self._storage.put(step)
        raise TypeError(f"the blocking client cannot perform {step!r}")

    def _send(self, step: Send[Any]) -> Answer:
        call = step.call
        request = requests.Request(
            call.method,
            self._endpoint.base_url + call.path,
            params=call.params,
            json=call.body,
            auth=TokenAuth(step.token),
        )
        connect_seconds, total_seconds = self._endpoint.time_limits(call)
        began = time.monotonic()
        try:
            with (
                time_limit(total_seconds),
                self.session.send(
                    self.session.prepare_request(request),
                    timeout=(connect_seconds, total_seconds),
                    allow_redirects=False,
                    **self._settings,
                ) as response,
            ):
                took = time.monotonic() - began
                reader = BodyReader(response.headers.get("Content-Encoding"))
                for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                    reader.feed(chunk)
        except (requests.RequestException, HTTPError, BodyError) as error:
            raise self._endpoint.unavailable(call, error, ambiguous=not _unsent(error)) from error
        return Answer(response.status_code, response.headers, reader.body(), took)


def _unsent(error: Exception) -> bool:
    """Return True if the request cannot have reached the service, because there was no connection."""
    return isinstance(error, (requests.ConnectTimeout, requests.exceptions.SSLError)) or (
        isinstance(error, requests.ConnectionError)
        and bool(error.args)
        and isinstance(error.args[0], MaxRetryError)
    )
