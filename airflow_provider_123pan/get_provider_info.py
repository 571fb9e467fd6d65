"""What Airflow's provider manager reads about this provider."""

from __future__ import annotations

from airflow_provider_123pan import __version__


def get_provider_info() -> dict[str, object]:
    """What Airflow's provider manager wants to know; its source is ``provider_info.schema.json`` of Airflow."""
    package = "airflow_provider_123pan"
    integration = "123pan"
    return {
        "package-name": "airflow-provider-123pan",
        "name": "123pan",
        "description": "Migrate images to 123pan's image host (123云盘图床), `123pan.com <https://www.123pan.com/>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://www.123pan.com/developer",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.pan123"]}],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [
                    f"{package}.operators.offline_download",
                    f"{package}.operators.sync_images",
                ],
            }
        ],
        "sensors": [
            {"integration-name": integration, "python-modules": [f"{package}.sensors.offline_download"]}
        ],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.triggers.offline_download", f"{package}.triggers.sync_images"],
            }
        ],
        "connection-types": [
            {
                "connection-type": "pan123",
                "hook-class-name": f"{package}.hooks.pan123.Pan123Hook",
                "hook-name": "123pan",
                "ui-field-behaviour": {
                    "hidden-fields": ["port", "schema"],
                    "relabeling": {"login": "Client ID", "password": "Client secret", "host": "Base URL"},
                    "placeholders": {"host": "https://open-api.123pan.com"},
                },
                "conn-fields": {
                    "callback_base_url": {
                        "label": "Callback base URL",
                        "description": "Where 123pan reaches Airflow's API server, or the receiver that stands alone; "
                        "empty: no callbacks",
                        "schema": {"type": ["string", "null"]},
                    },
                    "callback_secret": {
                        "label": "Callback secret",
                        "description": "Signs callback addresses: at least 16 characters, or several of them as a "
                        "JSON list, newest first; empty: the client secret does",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "requests_per_second": {
                        "label": "Requests per second",
                        "description": "An upper bound; empty: the provider finds the service's limit by itself",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds per request; empty: 30",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                    },
                    "access_token": {
                        "label": "Access token",
                        "description": "Use this token as it is, instead of logging in",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "verify": {
                        "label": "Verify certificates",
                        "description": "Check the service's TLS certificate",
                        "schema": {"type": ["boolean", "null"], "default": True},
                    },
                    "proxy": {
                        "label": "Proxy",
                        "description": "Address of an HTTP proxy; empty: the environment's",
                        "schema": {"type": ["string", "null"]},
                    },
                },
            }
        ],
        "cli": [f"{package}.cli.get_pan123_cli_commands"],
        "config": {
            "pan123": {
                "description": "How the callbacks of 123pan reach the tasks that wait for them.",
                "options": {
                    "inbox_uri": {
                        "description": (
                            "SQLAlchemy address of the database that keeps what was called back. "
                            "Empty: Airflow's metadata database."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "postgresql+psycopg2://pan123:secret@inbox/pan123",
                        "default": "",
                    },
                    "inbox_url": {
                        "description": (
                            "Where triggerers read the inbox: the base URL of Airflow's API server, or of the "
                            "receiver started by ``airflow pan123 receiver``. Empty: what ``[core] "
                            "execution_api_server_url`` says, without ``/execution/``, else ``[api] base_url``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "http://receiver:8123",
                        "default": "",
                    },
                    "signature_parameters": {
                        "description": (
                            "Query parameters, comma separated, that sign an address and do not tell one image from "
                            "another; ``*`` stands for anything. Empty: those of S3, Google, Azure, Alibaba, Tencent, "
                            "Huawei, Qiniu and CDNs (``SIGNATURE_PARAMETERS`` in ``source/urls.py``)."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "X-Amz-*,Signature,Expires",
                        "default": "",
                    },
                    "inbox_retention_days": {
                        "description": "Days for which a callback address is valid and deliveries are kept (30).",
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": None,
                        "default": "30",
                    },
                },
            }
        },
    }
