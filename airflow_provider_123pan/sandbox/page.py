"""The page at `/`: tasks, images and options of the sandbox; it has no script and reloads itself every 3 seconds."""

from __future__ import annotations

import json
from html import escape
from itertools import chain, islice
from typing import Any

from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import HEALTHY, Image, Tree
from airflow_provider_123pan.sandbox.tasks import OfflineTask

_MAX_TASKS, _MAX_IMAGES = 100, 60

_STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1d2330; --faint: #667085;
  --line: #e4e7ec; --accent: #3758d6; --good: #0f7b4f; --bad: #c0342b; --busy: #9a6300; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151c; --card: #1b2029; --ink: #e6e9ef;
  --faint: #98a2b3; --line: #2c3340; --accent: #8ea6ff; --good: #4cc38a; --bad: #ff7b72; --busy: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.45;
  font: 14px/1.45 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
main, header > div { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
header { background: var(--card); border-bottom: 1px solid var(--line); padding: 22px 0 18px; }
h1 { font-size: 20px; margin: 0 0 2px; } h2 { font-size: 15px; margin: 28px 0 10px; }
h2 small, header p { color: var(--faint); font-weight: normal; margin: 0; }
code { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; }
.numbers { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 14px 0 0; padding: 0; list-style: none; }
.numbers b { font-size: 18px; font-variant-numeric: tabular-nums; margin-right: 5px; }
.numbers li { color: var(--faint); } .numbers b { color: var(--ink); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.empty { padding: 22px; color: var(--faint); text-align: center; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th { text-align: left; color: var(--faint); font-weight: 500; font-size: 12px; }
th, td { padding: 7px 14px; border-bottom: 1px solid var(--line); overflow-wrap: anywhere;
  vertical-align: top; }
tr:last-child td { border-bottom: 0; }
.id { width: 116px; font-variant-numeric: tabular-nums; } .state { width: 112px; }
.pill { border-radius: 99px; padding: 1px 9px; font-size: 12px; border: 1px solid currentColor; }
.success { color: var(--good); } .failed, .rejected { color: var(--bad); }
.running, .retrying { color: var(--busy); }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: 14px; }
.images a { color: inherit; text-decoration: none; display: block; }
.images figure { margin: 0; } .images .card:hover { border-color: var(--accent); }
.images .frame { height: 132px; display: flex; align-items: center; justify-content: center;
  background: repeating-conic-gradient(var(--ground) 0 25%, var(--card) 0 50%) 0 0 / 16px 16px; }
.images img { max-width: 100%; max-height: 132px; min-width: 24px; }
.images figcaption { padding: 8px 10px; border-top: 1px solid var(--line); font-size: 12px;
  color: var(--faint); }
.images figcaption b { display: block; color: var(--ink); font-weight: 600; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(345px, 1fr)); margin: 0; }
dl div { padding: 8px 14px; display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; align-content: start;
  box-shadow: 0 0 0 0.5px var(--line); }
dt { font-weight: 600; } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
dd.about { grid-column: 1 / -1; text-align: left; color: var(--faint); font-size: 12px; }
.changed dd:not(.about) { color: var(--accent); font-weight: 600; }
footer { color: var(--faint); padding: 24px 0 32px; font-size: 12px; }
@media (max-width: 640px) { main, header > div { padding: 0 14px; } th, td { padding: 7px 8px; }
  .id { width: 70px; } .state { width: 88px; } }
"""


def render(backend: Backend, base_url: str) -> str:
    """Return the page as HTML.

    :param backend: The sandbox's state.
    :param base_url: The base URL under which the browser reached the sandbox.
    """
    images = [(tree, image) for tree in backend.store.trees.values() for image in _newest(tree)]
    images.sort(key=lambda pair: pair[1].updated, reverse=True)
    total = sum(len(tree.images) for tree in backend.store.trees.values())
    tasks = backend.tasks.newest_first(_MAX_TASKS)
    clients = ", ".join(backend.options.accounts)
    label = "client ID" if len(backend.options.accounts) == 1 else "client IDs"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>123pan sandbox</title><style>{_STYLE}</style></head><body>
<header><div><h1>123pan sandbox</h1>
<p>A local stand-in for 123pan's image host at <code>{escape(base_url)}</code>,
{label} <code>{escape(clients)}</code>. Loopback only: everyone who reaches this port can read the secrets and change
the options.</p>
<ul class="numbers">{_numbers(backend, total)}</ul></div></header>
<main>
<h2>Offline tasks <small>{_count(len(tasks), len(backend.tasks))}</small></h2>
<div class="card">{_tasks(tasks)}</div>
<h2>Images <small>{_count(min(total, _MAX_IMAGES), total)}</small></h2>
{_images(images[:_MAX_IMAGES])}
<h2>Options <small>changed options are coloured; PUT /sandbox/settings changes options</small></h2>
<div class="card"><dl>{_options(backend.options)}</dl></div>
<footer>GET /sandbox/state · GET, PUT /sandbox/settings ·
POST /sandbox/reset · POST /sandbox/kill-tokens</footer>
</main></body></html>"""


def _newest(tree: Tree) -> list[Image]:
    return list(islice(reversed(tree.images.values()), _MAX_IMAGES))


def _count(shown: int, total: int) -> str:
    return f"the newest {shown} of {total}" if shown < total else str(total)


def _numbers(backend: Backend, images: int) -> str:
    numbers = {
        "images": images,
        "tasks running": sum(backend.tasks.running.values()),
        "submissions": backend.submissions,
        "logins": backend.logins,
        "valid tokens": sum(backend.tokens.count_valid().values()),
        "calls": sum(backend.requests.values()),
        "refused with 429": backend.refusals[429],
        "callbacks": backend.callbacks.sent,
    }
    return "".join(f"<li><b>{number}</b>{name}</li>" for name, number in numbers.items())


def _tasks(tasks: list[OfflineTask]) -> str:
    if not tasks:
        return '<div class="empty">No offline tasks yet.</div>'
    rows = "".join(
        f'<tr><td class="id">{task.task_id}</td>'
        f'<td class="state"><span class="pill {task.state}">{task.state}</span></td>'
        f"<td>{escape(task.url)}</td><td>{escape(_result(task))}</td></tr>"
        for task in tasks
    )
    head = '<th class="id">taskID</th><th class="state">State</th><th>Source URL</th><th>Name or reason</th>'
    return f"<table><tr>{head}</tr>{rows}</table>"


def _result(task: OfflineTask) -> str:
    return task.reason or (task.image.name if task.image else task.file_name or "")


def _images(images: list[tuple[Tree, Image]]) -> str:
    if not images:
        return '<div class="card empty">No images yet.</div>'
    return f'<div class="images">{"".join(_figure(*pair) for pair in images)}</div>'


def _figure(tree: Tree, image: Image) -> str:
    path = escape("/".join(chain(_path(image), [image.name])))
    rejected = "" if image.status == HEALTHY else ' · <span class="rejected">rejected</span>'
    return (
        f'<a class="card" href="/{tree.user_id}/{image.file_id}" title="{path}"><figure>'
        f'<div class="frame"><img src="/sandbox/thumbnail/{image.file_id}?{image.etag}" alt=""></div>'
        f"<figcaption><b>{escape(image.name)}</b>{_size(image.size)}{rejected}</figcaption></figure></a>"
    )


def _path(image: Image) -> list[str]:
    names: list[str] = []
    directory = image.parent
    while directory is not None and directory.name:
        names.insert(0, directory.name)
        directory = directory.parent
    return names


def _size(size: int) -> str:
    if size < 1024:
        return f"{size} bytes"
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


def _options(options: Options) -> str:
    defaults, current = Options.model_validate({}).model_dump(mode="json"), options.model_dump(mode="json")
    current["accounts"] = defaults["accounts"] = ", ".join(options.accounts)  # without the secrets
    return "".join(
        f"<div{'' if value == defaults[name] else ' class=changed'}><dt>{name}</dt>"
        f"<dd>{escape(_written(value))}</dd>"
        f'<dd class="about">{escape(Options.model_fields[name].description or "")}</dd></div>'
        for name, value in current.items()
        if name not in ("host", "port")
    )


def _written(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
