"""Measures of the source code's structure: folders, modules, functions, repeats, imports.

    python -m benchmarks.structure              # this checkout
    python -m benchmarks.structure --repo DIR   # another one

A repeat is a pair of modules that share six lines in a row, without blank lines, comments and
imports. The order of the folders is the one in pyproject.toml, which `make lint` checks.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import click

from uvtex.console import PATH, CleanErrorCommand

SHARED = 6
"""Number of equal lines in a row that make a repeat."""


@click.command(cls=CleanErrorCommand)
@click.option(
    "--repo",
    type=PATH,
    default=Path(),
    help="Folder of the checkout to measure.",
)
def main(repo: Path) -> None:
    """Print measures of the structure of uvtex and sweep.

    \b
    Example:
      python -m benchmarks.structure --repo ../another
    """
    files = [path for name in ("uvtex", "sweep") for path in sorted((repo / name).rglob("*.py"))]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    lengths = {path: text.count("\n") for path, text in texts.items()}
    folders = Counter(path.parent for path in files)
    fullest, most = folders.most_common(1)[0]
    longest = max(lengths, key=lambda path: lengths[path])
    functions = [size for path, text in texts.items() for size in function_lengths(text)]
    rows = {
        "folders": len(folders),
        "modules": len(files),
        "most modules in one folder": f"{most} ({fullest.relative_to(repo)})",
        "lines of source": sum(lengths.values()),
        "lines of a module, median": statistics.median(size for size in lengths.values() if size),
        "lines of the longest module": f"{lengths[longest]} ({longest.relative_to(repo)})",
        "modules of more than 300 lines": sum(size > 300 for size in lengths.values()),
        "functions": len(functions),
        "lines of a function, median": statistics.median(functions),
        "functions of more than 50 lines": sum(size > 50 for size in functions),
        "repeats of six lines or more": repeats(texts),
        "imports against the order": against_the_order(repo),
    }
    for name, value in rows.items():
        print(f"{name}: {value}")


def function_lengths(text: str) -> list[int]:
    """Lines of each function in a module, without decorators."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def repeats(texts: dict[Path, str]) -> int:
    """Pairs of files that share a run of ``SHARED`` lines."""
    where: dict[tuple[str, ...], set[Path]] = defaultdict(set)
    for path, text in texts.items():
        lines = [line.strip() for line in text.splitlines()]
        lines = [s for s in lines if re.search(r"\w", s) and not re.match(r"#|import |from ", s)]
        for start in range(len(lines) - SHARED + 1):
            where[tuple(lines[start : start + SHARED])].add(path)
    pairs = {pair for paths in where.values() for pair in combinations(sorted(paths), 2)}
    return len(pairs)


def against_the_order(repo: Path) -> str:
    """Result of import-linter on the contracts in the checkout's pyproject.toml."""
    if "[tool.importlinter]" not in (repo / "pyproject.toml").read_text(encoding="utf-8"):
        return "pyproject.toml states no order"
    program = Path(sys.executable).with_name("lint-imports")
    output = subprocess.run([program], cwd=repo, capture_output=True, text=True, check=False).stdout
    return next(line for line in output.splitlines()[::-1] if line.startswith("Contracts:"))


if __name__ == "__main__":
    main()
