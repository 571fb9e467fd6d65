"""Blocks of JSON, shell commands and configurations of nginx are valid."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_123pan.cli import get_pan123_cli_commands
from airflow_provider_123pan.get_provider_info import get_provider_info
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.__main__ import parser as sandbox_parser
from tests.integration.documents.support import PAGES, ROOT, Block, in_language


@in_language("json")
def test_a_json_block_parses(block: Block) -> None:
    assert json.loads(block.text)


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a shell block as lists of words."""
    lexer = shlex.shlex(re.sub(r"(?m)(^|\s)#.*$", "", block.text), posix=True, punctuation_chars="&\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    command: list[str] = []
    for word in [*lexer, "\n"]:
        if set(word) <= {"&", "\n"}:
            if command:
                yield command
            command = []
        else:
            command.append(word)


def _make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^([a-z][a-z0-9-]*):", text))


def check_make(words: list[str]) -> None:
    """Check the targets and variables of a `make` command."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert f"$({name})" in text or f"$(if $({name})" in text, f"the Makefile does not use {name}"
        else:
            assert name in _make_targets(), f"there is no target {name}"


def check_airflow(words: list[str]) -> None:
    """Check the arguments of an `airflow` command."""
    (group,) = get_pan123_cli_commands()
    parser = argparse.ArgumentParser(exit_on_error=False)
    commands = parser.add_subparsers(required=True).add_parser(group.name).add_subparsers(required=True)
    for command in group.subcommands:  # type: ignore[union-attr]
        options = commands.add_parser(command.name)
        for option in command.args:  # type: ignore[union-attr]
            option.add_to_parser(options)
    parser.parse_args(words)


def check_python(words: list[str]) -> None:
    """Check the options of a command that starts the sandbox."""
    assert words[:2] == ["-m", "airflow_provider_123pan.sandbox"]
    Sandbox(**vars(sandbox_parser().parse_args(words[2:])))


def check_pip(words: list[str]) -> None:
    """Check the package and the extras of a `pip install` command."""
    assert words[0] == "install"
    assert words[1].startswith("airflow-provider-123pan")
    assert set(re.findall(r"\[(.*)\]", words[1])) <= {"sandbox"}


def check_export(words: list[str]) -> None:
    """Check a connection or an option that is set as an environment variable."""
    (assignment,) = words
    name, _, value = assignment.partition("=")
    if name.startswith("AIRFLOW_CONN_"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert Pan123Hook(name.removeprefix("AIRFLOW_CONN_").lower()).settings.client_id
        return
    option = name.removeprefix("AIRFLOW__PAN123__").lower()
    assert option in get_provider_info()["config"]["pan123"]["options"]  # type: ignore[index]
    if option == "inbox_uri":
        assert make_url(value).database


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "airflow": check_airflow,
    "python": check_python,
    "pip": check_pip,
    "export": check_export,
    "git": lambda words: None,
    "cd": lambda words: None,
}


@in_language("bash")
def test_the_commands_of_a_shell_block_exist(block: Block) -> None:
    found = list(commands(block))
    assert found
    for program, *words in found:
        CHECKS[program](words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_in_the_text_exist(page: Path) -> None:
    used = set(re.findall(r"`make ([a-z0-9-]+)", page.read_text(encoding="utf-8")))
    assert used <= _make_targets()


@in_language("nginx")
def test_nginx_accepts_its_configuration(block: Block, tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    # nginx resolves the names of its upstreams when it checks its configuration.
    text = re.sub(r"http://[a-z-]+:", "http://127.0.0.1:", block.text)
    # The default directories for temporary files may be missing or not writable.
    directories = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off;\n{directories} server {{ listen 127.0.0.1:8080;\n{text}\n}} }}\n"
    )
    done = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(configuration)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
