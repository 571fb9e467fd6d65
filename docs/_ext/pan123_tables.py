"""Directives that write tables from the package itself, so that the reference cannot drift from the code."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGE = "airflow_provider_123pan"


class GeneratedDirective(SphinxDirective):
    """Parse the Markdown that :meth:`lines` returns, in place of the directive."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the table."""
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)

    def lines(self) -> Iterable[str]:
        """Return lines of Markdown."""
        raise NotImplementedError


class ProviderOptions(GeneratedDirective):
    """The options of ``[pan123]`` in ``airflow.cfg``."""

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        section = _provider_info()["config"]["pan123"]
        for name, option in sorted(section["options"].items()):
            yield f"### `{name}`"
            yield ""
            yield _plain(option["description"])
            yield ""
            yield f"- Type: {option['type']}"
            yield f"- Default: {_code(option['default'])}"
            if option.get("example") is not None:
                yield f"- Example: {_code(option['example'])}"
            yield f"- Environment variable: `AIRFLOW__PAN123__{name.upper()}`"
            yield f"- Added in version {option['version_added']}"
            yield ""


class ConnectionFields(GeneratedDirective):
    """The fields of a connection of type ``pan123``."""

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        (connection,) = _provider_info()["connection-types"]
        labels = connection["ui-field-behaviour"]["relabeling"]
        placeholders = connection["ui-field-behaviour"]["placeholders"]
        rows = [
            ("`login`", labels["login"], "Required, unless an access token is given."),
            ("`password`", labels["password"], "Required, unless an access token is given."),
            ("`host`", labels["host"], f"Empty: {placeholders['host']}"),
        ]
        for name, field in connection["conn-fields"].items():
            rows.append((f"`extra.{name}`", field["label"], f"{field['description'].rstrip('.')}."))
        yield from _table(("Field", "Label in the form", "Meaning"), rows)


class SandboxOptions(GeneratedDirective):
    """The sandbox's options, from its command line's parser."""

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        parser = import_module(f"{PACKAGE}.sandbox.__main__").parser()
        rows = []
        for action in parser._actions:
            if action.dest != "help":
                options = ", ".join(f"`{name}`" for name in action.option_strings)
                meaning = _plain((action.help or "") % {"prog": parser.prog})
                if isinstance(action.metavar, str) and action.metavar.startswith("{"):
                    choices = action.metavar.strip("{}").split(",")
                    meaning += f". One of {', '.join(f'`{choice}`' for choice in choices)}"
                rows.append((options, meaning))
        yield from _table(("Option", "Meaning"), rows)


class SandboxAnswers(GeneratedDirective):
    """The keys of a scripted answer of the sandbox."""

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        fields = import_module(f"{PACKAGE}.sandbox.answers").ScriptedAnswer.model_fields
        rows = [(f"`{name}`", field.description or "") for name, field in fields.items()]
        yield from _table(("Key", "Meaning"), rows)


class AirflowCommands(GeneratedDirective):
    """The subcommands of ``airflow pan123``."""

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        for group in import_module(f"{PACKAGE}.cli").get_pan123_cli_commands():
            for command in group.subcommands:
                yield f"### `airflow {group.name} {command.name}`"
                yield ""
                yield f"{command.help.rstrip('.')}."
                yield ""
                if command.description:
                    yield _plain(command.description)
                    yield ""
                parser = argparse.ArgumentParser(add_help=False)
                for argument in command.args:
                    argument.add_to_parser(parser)
                rows = [
                    (
                        ", ".join(f"`{name}`" for name in action.option_strings or [action.dest]),
                        action.help or "",
                    )
                    for action in parser._actions
                ]
                if rows:
                    yield from _table(("Argument", "Meaning"), rows)
                yield ""


def _provider_info() -> dict[str, Any]:
    info: dict[str, Any] = import_module(f"{PACKAGE}.get_provider_info").get_provider_info()
    return info


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for number, row in enumerate([header, *rows]):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        if not number:
            yield f"|{'---|' * len(header)}"


def _plain(text: str) -> str:
    """Turn the double backticks of reStructuredText into those of Markdown."""
    return text.replace("``", "`")


def _code(value: Any) -> str:
    return f"`{value}`" if value not in ("", None) else "empty"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("pan123-options", ProviderOptions)
    app.add_directive("pan123-connection-fields", ConnectionFields)
    app.add_directive("pan123-sandbox-options", SandboxOptions)
    app.add_directive("pan123-sandbox-answers", SandboxAnswers)
    app.add_directive("pan123-commands", AirflowCommands)
    return {"version": "1", "parallel_read_safe": True}
