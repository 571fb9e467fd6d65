"""`python -m airflow_provider_123pan.sandbox`: the sandbox until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.options import Options

_STOP = (signal.SIGINT, signal.SIGTERM)


def parser() -> argparse.ArgumentParser:
    """Return a parser with one argument per option of the sandbox."""
    made = argparse.ArgumentParser(
        "python -m airflow_provider_123pan.sandbox",
        usage="%(prog)s [options]",
        description="A local 123pan, for trying things and for tests. The page at its root shows what it holds.",
    )
    for name, field in Options.model_fields.items():
        option = "--" + name.replace("_", "-")
        text = f"{field.description} (default: {_written(field.default)})".replace("%", "%%")
        if field.annotation is bool:
            made.add_argument(
                option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        else:
            made.add_argument(option, default=argparse.SUPPRESS, help=text, metavar=_values(field.annotation))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser()
    changes = vars(options.parse_args(arguments))
    # Blocked here and so in every thread made from now on: only `sigwait` sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        sandbox = Sandbox(**changes)
    except ValidationError as error:
        options.error("; ".join(f"{_option(each['loc'])}: {each['msg']}" for each in error.errors()))
    try:
        sandbox.start()
    except (OSError, ImportError) as error:
        options.error(str(error))
    try:
        print(
            f"123pan sandbox at {sandbox.base_url}"
            f" with client ID {sandbox.client_id} and client secret {sandbox.client_secret}",
            flush=True,
        )
        signal.sigwait(_STOP)
    finally:
        sandbox.stop()
    return 0


def _values(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "{" + ",".join(get_args(annotation)) + "}"
    return "…"


def _written(default: Any) -> str:
    """A default as one would write it on the command line."""
    if isinstance(default, tuple):
        return ",".join(str(end) for end in dict.fromkeys(default))
    if isinstance(default, dict):
        return ",".join(f"{name}:{value}" for name, value in default.items())
    return str(default) if default or default == 0 else "none"


def _option(place: tuple[int | str, ...]) -> str:
    return "--" + ".".join(str(part) for part in place).replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
