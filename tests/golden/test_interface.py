"""Signatures, commands, and what Airflow reads about the provider."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_123pan.callbacks.address import callback_address
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.images import (
    Pan123CheckImagesOperator,
    Pan123CopyFromDriveOperator,
    Pan123DeleteImagesOperator,
    Pan123MoveImagesOperator,
    Pan123UploadImagesOperator,
)
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.pages import undo
from airflow_provider_123pan.rewriting import find_images, new_addresses, replacements, rewrite
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.sources import from_bucket, from_feed, from_pages, from_sitemap
from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger

HOOK_METHODS = (
    "copy_from_drive",
    "create_offline_download",
    "delete_images",
    "get_conn",
    "get_copy",
    "get_image",
    "get_offline_download",
    "list_copy_failures",
    "list_directories",
    "list_images",
    "make_directory",
    "move_images",
    "test_connection",
    "upload_image",
)
TEMPLATED: list[Any] = [
    Pan123OfflineDownloadOperator,
    Pan123SyncImagesOperator,
    Pan123OfflineDownloadSensor,
    Pan123MigratePagesOperator,
    Pan123CheckImagesOperator,
    Pan123CopyFromDriveOperator,
    Pan123DeleteImagesOperator,
    Pan123MoveImagesOperator,
    Pan123UploadImagesOperator,
]
PROMISED: list[Any] = [
    *TEMPLATED,
    Pan123ImageArrivalTrigger,
    Pan123OfflineDownloadTrigger,
    Pan123SyncImagesTrigger,
    Pan123Hook,
    *(getattr(Pan123Hook, name) for name in HOOK_METHODS),
    Throttle,
    Throttle.reserve,
    Throttle.backoff,
    Throttle.accepted,
    Throttle.refused,
    callback_address,
    new_addresses,
    rewrite,
    find_images,
    replacements,
    undo,
    from_sitemap,
    from_feed,
    from_bucket,
    from_pages,
]


def signature(function: Any) -> dict[str, Any]:
    """Return the default of each parameter; positional parameters count their place."""
    found: dict[str, Any] = {}
    for place, parameter in enumerate(inspect.signature(function).parameters.values()):
        if parameter.kind is parameter.VAR_KEYWORD or parameter.name == "self":
            continue
        default = parameter.default
        if default is parameter.empty:
            default = "<required>"
        elif callable(default):
            default = f"<{default.__name__}>"
        elif isinstance(default, tuple):
            default = [*default]
        by_place = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        found[parameter.name] = [default, place if by_place else "keyword"]
    return found


@pytest.mark.parametrize("function", PROMISED, ids=lambda function: function.__qualname__)
def test_every_promised_parameter_is_still_there(golden: Any, function: Any) -> None:
    """More parameters may come, but none of these may go or change its default."""
    expected = golden.load("signatures")[function.__qualname__]
    found = signature(function)
    assert {name: found.get(name) for name in expected} == expected


def test_a_migration_of_pages_takes_the_arguments_of_a_sync() -> None:
    """All but the lists, since its images come from the pages."""
    given = {
        name: 7.0 if name == "timeout" else f"another {name}"
        for name in signature(Pan123SyncImagesOperator)
        if name not in ("images", "manifest")
    }
    assert {"probe", "private_hosts", "max_failures"} <= {*given}
    task = Pan123MigratePagesOperator(task_id="migrate", pages="x", journal="x", **given)
    assert {name: getattr(task, name) for name in given} == given
    assert {*Pan123SyncImagesOperator.template_fields} - {"images", "manifest"} <= {*task.template_fields}


def test_templated_fields_stay_templated(golden: Any) -> None:
    """More fields may come."""
    fields = {kind.__name__: {*kind.template_fields} for kind in TEMPLATED}
    for name, expected in golden.load("template_fields").items():
        assert fields[name] >= {*expected}


def test_the_hook_names_its_connection() -> None:
    assert (Pan123Hook.conn_name_attr, Pan123Hook.default_conn_name, Pan123Hook.conn_type) == (
        "pan123_conn_id",
        "pan123_default",
        "pan123",
    )


def test_a_throttle_paces_requests_by_its_clock() -> None:
    throttle = Throttle(start=4.0, ceiling=8.0, clock=lambda: 100.0, uniform=lambda low, high: high)
    assert throttle.rate == 4.0
    assert [throttle.reserve(), throttle.reserve()] == [0.0, 0.25]
    assert throttle.backoff(0) == 0.25
    throttle.accepted()
    throttle.refused()
    assert throttle.rate < 4.0


def test_a_sandbox_has_its_promised_methods() -> None:
    for name in ("start", "stop", "state", "configure", "reset", "kill_tokens"):
        assert callable(getattr(Sandbox, name))
    sandbox = Sandbox()
    assert (sandbox.client_id, sandbox.client_secret) == ("sandbox-client", "sandbox-secret-0123456789")


def without_prose(value: Any) -> Any:
    """Return provider info without what only people read."""
    if isinstance(value, dict):
        prose = ("description", "label", "relabeling", "placeholders", "example")
        return {key: without_prose(item) for key, item in value.items() if key not in prose}
    return [*map(without_prose, value)] if isinstance(value, list) else value


def test_airflow_reads_golden_provider_info(golden: Any, provider_info: dict[str, Any]) -> None:
    assert provider_info["versions"] == [version("airflow-provider-123pan")]
    golden.check("provider_info", without_prose(provider_info) | {"versions": ["<version>"]})


def test_the_plugin_mounts_the_receiver(plugin: Any) -> None:
    assert plugin.name == "pan123"
    (mount,) = plugin.fastapi_apps
    assert mount["url_prefix"] == "/pan123"


def test_the_command_line_has_golden_commands(golden: Any, provider_info: dict[str, Any]) -> None:
    (path,) = provider_info["cli"]
    module, _, name = path.rpartition(".")
    (group,) = getattr(import_module(module), name)()
    found = {
        command.name: {flag: arg.kwargs.get("default") for arg in command.args for flag in arg.flags}
        for command in group.subcommands
    }
    golden.check("commands", {group.name: found})
