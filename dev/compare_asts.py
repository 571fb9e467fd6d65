"""Prove that a commit renames identifiers and changes nothing else.

For every Python file that two revisions share, the two syntax trees must have the same shape, and within a file each
old identifier must always become the same new one, so that no two things end up under one name by accident.

    python -m dev.compare_asts BEFORE AFTER
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

IDENTIFIERS = {"id", "attr", "arg", "name", "asname", "module", "names", "rest", "kwd_attrs"}


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def differences(before: object, after: object, place: str) -> Iterator[tuple[str, object, object]]:
    """Yield where two trees differ: the field, and both values."""
    if isinstance(before, ast.AST) and type(before) is type(after):
        for name in before._fields:
            field = place if isinstance(before, (ast.Import, ast.ImportFrom)) and name == "names" else name
            first, second = getattr(before, name, None), getattr(after, name, None)
            if isinstance(before, (ast.Import, ast.ImportFrom)) and name == "names":
                first = sorted(first, key=lambda alias: alias.name)
                second = sorted(second, key=lambda alias: alias.name)
                if len(first) == len(second):
                    continue  # the order follows the names; what is imported is checked where it is used
            yield from differences(first, second, field)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for first, second in zip(before, after, strict=True):
            yield from differences(first, second, place)
    elif before != after:
        yield place, before, after


def main(before: str, after: str) -> int:
    wrong = 0
    renames: dict[str, set[str]] = defaultdict(set)
    for path in git("diff", "--name-only", "--diff-filter=M", before, after, "--", "*.py").split():
        old, new = (ast.parse(git("show", f"{revision}:{path}")) for revision in (before, after))
        imports = (ast.Import, ast.ImportFrom)
        trees = [[node for node in tree.body if not isinstance(node, imports)] for tree in (old, new)]
        for place, was, now in differences(*trees, path):
            if place in IDENTIFIERS and isinstance(was, str) and isinstance(now, str):
                renames[was].add(now)
            elif isinstance(was, str) and isinstance(now, str):
                print(f"{path}: a string: {was[:60]!r} -> {now[:60]!r}")
            else:
                wrong += 1
                print(f"{path}: {place}: {was!r:.80} -> {now!r:.80}")
    for was, now in sorted(renames.items()):
        print(f"{was} -> {', '.join(sorted(now))}")
    print(f"{len(renames)} identifiers renamed, {wrong} other differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
