"""The checks of a connection's fields: every bad value is an error that names the field and quotes no secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_123pan.account import connection as module
from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.async_client import AsyncPan123Client
from airflow_provider_123pan.service.client import Pan123Client

PASSWORD = "geheim123"


def settings(extra: Any = None, **fields: Any) -> ConnectionSettings:
    """Return the settings of a connection with these fields."""
    given = {"login": "id", "password": "client-secret", "conn_type": "pan123"} | fields
    text = extra if isinstance(extra, str) else json.dumps(extra or {})
    return ConnectionSettings.of(Connection(conn_id="main", extra=text, **given))


@pytest.mark.parametrize(
    ("field", "extra"),
    [
        *(
            ("access_token", {"access_token": f"{PASSWORD}{odd}x"})
            for odd in ("\n", "\r\n", "\0", "é", "令", " ", "\ud800")
        ),
        *(
            (name, {name: url.format(f"user:{PASSWORD}@")})
            for name in ("proxy", "callback_base_url")
            for url in (
                "http://{}proxy.example.com:65536",
                "http://{}proxy.example.com:0",
                "http://{}proxy.example.com:x",
                "http://{}[::1",
                "http://{}",
                "http://{}a b",
                "http://{}a\nb",
                "http://{}a..b",
                "http://{}" + "a" * 64,
                "ftp://{}proxy.example.com",
                "//{}proxy.example.com",
            )
        ),
        ("proxy", {"proxy": f"http://用户:{PASSWORD}@proxy.example.com"}),
        ("timeout", {"timeout": 10**400}),
        ("timeout", {"timeout": 1e300}),
        ("timeout", {"timeout": float("nan")}),
        ("timeout", {"timeout": "9" * 5000}),
        ("requests_per_second", {"requests_per_second": 10**400}),
        ("requests_per_second", {"requests_per_second": 1e-300}),
        ("requests_per_second", {"requests_per_second": ["9" * 5000]}),
        ("verify", {"verify": "\0" + "x" * 5000}),
        ("extra", "[" * 5000 + "]" * 5000),
        ("extra", "9" * 5000),
    ],
)
def test_a_bad_value_in_extra_is_a_short_error_that_names_the_field(field: str, extra: Any) -> None:
    with pytest.raises(Pan123InputError, match=f"connection 'main': {field} ") as caught:
        settings(extra)
    assert PASSWORD not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("host", {"host": "http://[::1"}),
        ("host", {"host": "https://open-api.123pan.com:65536"}),
        ("host", {"host": "open-api.123pan.com", "port": 65536}),
        ("host", {"host": "a b"}),
        ("host", {"host": "a..b"}),
        ("login", {"login": "id\0"}),
        ("login", {"login": "id\ud800x"}),
        ("password", {"password": f"{PASSWORD}\nx"}),
    ],
)
def test_a_bad_field_is_a_short_error_that_names_it(field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Pan123InputError, match=f"connection 'main': {field} ") as caught:
        settings(**fields)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["http://[::1]:8080", "http://[fe80::1]", "例子.中国", "open_api.example.com.", "h:1"]
)
@pytest.mark.parametrize("proxy", [None, "http://proxy.example.com:3128", "https://u:p%40w@[::1]:1/"])
async def test_both_clients_take_every_endpoint_that_passes(host: str, proxy: str | None) -> None:
    endpoint = settings({"proxy": proxy, "timeout": 0.5, "requests_per_second": "12"}, host=host).endpoint
    tokens: Any = None
    throttle: Any = None
    Pan123Client(endpoint, tokens, throttle).close()
    await AsyncPan123Client(endpoint, tokens, throttle).aclose()


@pytest.fixture(autouse=True)
def _warn_again() -> Iterator[None]:
    """Forget which connections were warned of."""
    module._warn_of_weak_secret.cache_clear()
    yield
    module._warn_of_weak_secret.cache_clear()


@pytest.mark.parametrize(
    "secret",
    [
        "0" * 16,
        "0123456789abcdef",
        "1234567890123456",
        "changemechangeme",
        ["c0ffee9d41b7a2f35e8840d61b7c9fa2", "abababababababab"],
        '["c0ffee9d41b7a2f35e8840d61b7c9fa2", "abababababababab"]',
    ],
)
def test_a_weak_callback_secret_is_warned_of_once(secret: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert settings({"callback_secret": secret}).callback_secret
    settings({"callback_secret": secret})
    [message] = caplog.messages
    assert "openssl rand -hex 32" in message
    assert "abab" not in message


@pytest.mark.parametrize("secret", [None, "c0ffee9d41b7a2f35e8840d61b7c9fa2", "4gT!x9PqLm2#vZ8w"])
def test_a_random_callback_secret_is_not(secret: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings({"callback_secret": secret})
    assert caplog.messages == []
