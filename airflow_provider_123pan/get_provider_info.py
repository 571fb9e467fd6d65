"""Metadata that Airflow's provider manager reads."""

from __future__ import annotations

from airflow_provider_123pan import __version__


def get_provider_info() -> dict[str, object]:
    """Return the provider's metadata in the form that Airflow's ``provider_info.schema.json`` prescribes.

    :returns: a dict of JSON values.
    """
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
                "how-to-guide": [
                    "/docs/howto/one-image.md",
                    "/docs/howto/sync.md",
                    "/docs/howto/arrivals.md",
                ],
                "logo": "/docs/images/logo.svg",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.pan123"]}],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [
                    f"{package}.operators.copy_from_drive",
                    f"{package}.operators.images",
                    f"{package}.operators.migrate_pages",
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
                "python-modules": [
                    f"{package}.triggers.copy_from_drive",
                    f"{package}.triggers.image_arrivals",
                    f"{package}.triggers.offline_download",
                    f"{package}.triggers.sync_images",
                ],
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
                        "description": "Base URL at which 123pan reaches Airflow's API server or the standalone "
                        "receiver. Empty: no callbacks are used.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "callback_secret": {
                        "label": "Callback secret",
                        "description": "Key that signs callback URLs: at least 16 characters. For a rotation, a JSON "
                        "list of secrets, newest first. Empty: the client secret is used.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "requests_per_second": {
                        "label": "Requests per second",
                        "description": "Maximum request rate. Empty: the provider finds the service's limit itself.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds that a request may take. Empty: 30.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                    },
                    "access_token": {
                        "label": "Access token",
                        "description": "Access token to use as it is, instead of logging in.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "verify": {
                        "label": "Verify certificates",
                        "description": "Whether to verify the service's TLS certificate.",
                        "schema": {"type": ["boolean", "null"], "default": True},
                    },
                    "proxy": {
                        "label": "Proxy",
                        "description": "URL of an HTTP proxy. Empty: the proxy that the environment variables name.",
                        "schema": {"type": ["string", "null"]},
                    },
                },
            }
        ],
        "extra-links": [
            f"{package}.links.PagesReportLink",
            f"{package}.links.Pan123ImageLink",
            f"{package}.links.Pan123ResultsLink",
        ],
        "asset-uris": [
            {
                "schemes": ["pan123"],
                "handler": f"{package}.assets.sanitize_uri",
                "factory": f"{package}.assets.create_asset",
                "to_openlineage_converter": f"{package}.assets.convert_asset_to_openlineage",
            }
        ],
        "cli": [f"{package}.cli.get_pan123_cli_commands"],
        "config": {
            "pan123": {
                "description": "How callbacks from 123pan reach the tasks that wait for them.",
                "options": {
                    "inbox_uri": {
                        "description": (
                            "SQLAlchemy URL of the database that stores deliveries. "
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
                            "receiver started by ``airflow pan123 receiver``. Empty: ``[core] "
                            "execution_api_server_url`` without ``/execution/``, or else ``[api] base_url``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "http://receiver:8123",
                        "default": "",
                    },
                    "signature_parameters": {
                        "description": (
                            "Comma-separated query parameters that sign a URL and do not distinguish one image from "
                            "another; ``*`` matches any characters. They are added to the complete signatures of S3, "
                            "Google, Azure, Alibaba, Tencent, Huawei, Volcengine, Qiniu, CloudFront and ``auth_key``."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "x-expires,x-signature",
                        "default": "",
                    },
                    "inbox_retention_days": {
                        "description": "Days for which a callback URL is valid and deliveries are stored.",
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": None,
                        "default": "30",
                    },
                },
            }
        },
    }
