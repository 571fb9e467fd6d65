"""The command `python -m airflow_provider_123pan.sandbox`: runs the sandbox until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.answers import ScriptedAnswer
from airflow_provider_123pan.sandbox.options import Options

_PARAGRAPH: Any = {"initial_indent": "  ", "subsequent_indent": "    ", "break_on_hyphens": False}
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def parser() -> argparse.ArgumentParser:
    """Return a parser with one argument per option of the sandbox."""
    result = argparse.ArgumentParser(
        "python -m airflow_provider_123pan.sandbox",
        usage="%(prog)s [options]",
        description="A local 123pan for trials and tests. Its page at / shows its tasks and images.",
        epilog=_about_answers(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, field in Options.model_fields.items():
        option = "--" + name.replace("_", "-")
        help_text = f"{field.description} (default: {_written(field.default)})".replace("%", "%%")
        if field.annotation is bool:
            result.add_argument(
                option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help_text
            )
        else:
            result.add_argument(
                option, default=argparse.SUPPRESS, help=help_text, metavar=_values(field.annotation)
            )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until a signal stops it.

    :param arguments: The command line's arguments, or None for those of this process.
    :returns: The exit code.
    """
    command = parser()
    options = vars(command.parse_args(arguments))
    # Threads started later inherit the blocked signals, so only `sigwait` receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        sandbox = Sandbox(**options)
    except ValidationError as error:
        command.error("; ".join(f"{_option(problem['loc'])}: {problem['msg']}" for problem in error.errors()))
    try:
        sandbox.start()
    except (OSError, ImportError) as error:
        command.error(str(error))
    try:
        print(
            f"123pan sandbox at {sandbox.base_url}"
            f" with client ID {sandbox.client_id} and client secret {sandbox.client_secret}",
            flush=True,
        )
        signal.sigwait(_STOP_SIGNALS)
    finally:
        sandbox.stop()
    return 0


def _about_answers() -> str:
    """Describe the keys of a scripted answer, as paragraphs of the help."""
    fields = ScriptedAnswer.model_fields.items()
    paragraphs = [textwrap.fill(f"{name}: {field.description}", 78, **_PARAGRAPH) for name, field in fields]
    return "\n".join(["keys of a scripted answer (--answers):", *paragraphs])


def _values(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "{" + ",".join(get_args(annotation)) + "}"
    return "…"


def _written(default: Any) -> str:
    """Return a default value as it is written on the command line."""
    if isinstance(default, tuple):
        return ",".join(str(bound) for bound in dict.fromkeys(default))
    if isinstance(default, dict):
        return ",".join(f"{name}:{value}" for name, value in default.items())
    return str(default) if default or default == 0 else "none"


def _option(place: tuple[int | str, ...]) -> str:
    return "--" + ".".join(str(part) for part in place).replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
