"""The blocking shell: performs the protocol's steps with ``requests``."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError

from airflow_provider_123pan.service.endpoint import HEADERS, Endpoint
from airflow_provider_123pan.service.flow import Blocking, Flow, NeedToken, Sleep, Slot, TokenSource, drive
from airflow_provider_123pan.service.protocol import Answer, Call, MakeCall, Send, exchange
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

T = TypeVar("T")

CONNECTIONS = 32  # kept open: threads of a worker share one client


class TokenAuth(requests.auth.AuthBase):
    """Sets the access token; without an auth object, requests would let ``.netrc`` replace it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Pan123Client:
    """Makes calls, one after the other or from several threads; use as a context manager or ``close`` it."""

    def __init__(self, endpoint: Endpoint, tokens: TokenSource, throttle: Throttle) -> None:
        self.throttle = throttle
        self._endpoint = endpoint
        self._tokens = tokens
        self._token_lock = threading.Lock()
        self.session = requests.Session()
        self.session.headers.update(HEADERS)
        self.session.auth = TokenAuth(None)
        self.session.verify = endpoint.verify
        if endpoint.proxy:
            self.session.proxies = {"http": endpoint.proxy, "https": endpoint.proxy}
        self.session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        self.session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        # Proxy and CA bundle of the environment: resolved once, not for each request.
        proxies = dict(self.session.proxies)
        self._settings = self.session.merge_environment_settings(
            endpoint.base_url, proxies, False, endpoint.verify if endpoint.verify is not True else None, None
        )

    def call(
        self,
        call: Call[T],
        retry_for: float = RETRY_FOR_SECONDS,
        *,
        retry_too_many_for: float = RETRY_FOR_SECONDS,
    ) -> T:
        """Make one call; see :func:`~airflow_provider_123pan.service.protocol.exchange`."""
        flow = exchange(call, self.throttle, retry_for, retry_too_many_for=retry_too_many_for)
        return drive(flow, self._perform)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow of calls and sleeps."""
        return drive(flow, self._perform)

    def token(self, refused: str | None = None) -> str:
        """An access token that is not the refused one."""
        if (token := self._tokens.cached(refused)) is not None:
            return token
        with self._token_lock:
            return self._tokens.cached(refused) or drive(self._tokens.obtain(refused), self._perform)

    def authorized_session(self) -> requests.Session:
        """The session, which from now on carries the shared token also in requests of others."""
        self.session.auth = TokenAuth(self.token())
        return self.session

    def close(self) -> None:
        self.session.close()

    def __enter__(self) -> Pan123Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _perform(self, step: Any) -> Any:
        match step:
            case Send():
                return self._send(step)
            case Sleep():
                return time.sleep(step.seconds) if step.seconds > 0 else None
            case Slot():
                # One at a time: a slot taken far ahead would be one of a rate that is out of date by then.
                with self.throttle.slots:
                    pause = self.throttle.reserve()
                    return time.sleep(pause) if pause > 0 else None
            case NeedToken():
                return self.token(step.refused)
            case MakeCall():
                return self.call(step.call, step.retry_for)
            case Blocking():
                return step.function()
        raise TypeError(f"no step: {step!r}")

    def _send(self, step: Send[Any]) -> Answer:
        call = step.call
        request = requests.Request(
            call.method,
            self._endpoint.base_url + call.path,
            params=call.params,
            json=call.body,
            auth=TokenAuth(step.token),
        )
        try:
            response = self.session.send(
                self.session.prepare_request(request),
                timeout=call.timeout or self._endpoint.timeout,
                allow_redirects=False,
                **self._settings,
            )
        except requests.RequestException as error:
            cause = getattr(error.args[0], "reason", None) if error.args else None
            raise self._endpoint.unavailable(call, cause or error, ambiguous=not _unsent(error)) from error
        return Answer(response.status_code, response.headers, response.content)


def _unsent(error: requests.RequestException) -> bool:
    """Whether it is sure that nothing arrived: only where no connection came about."""
    return isinstance(error, (requests.ConnectTimeout, requests.exceptions.SSLError)) or (
        isinstance(error, requests.ConnectionError)
        and bool(error.args)
        and isinstance(error.args[0], MaxRetryError)
    )
