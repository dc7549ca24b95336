"""Standard output belongs to the command: no library and no encoding can spoil it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from uvtex.console import CleanErrorGroup
from uvtex.output import echo, rich_console

COMMAND = """
import ctypes, os, sys
from uvtex.console import CleanErrorGroup
from uvtex.output import echo

main = CleanErrorGroup("main")

@main.command()
def figures():
    print("a library's print")
    os.write(1, b"a print past Python\\n")
    ctypes.CDLL(None).puts(b"a C library's print")
    ctypes.CDLL(None).fflush(None)
    os.system("echo a child-print")
    echo('{"figure": "\\N{RUNNER} \\u2265"}')

main(["figures"])
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ | environment, check=False
    )


def test_what_libraries_print_goes_to_standard_error() -> None:
    done = run(COMMAND)
    assert json.loads(done.stdout) == {"figure": "\N{RUNNER} \u2265"}
    for words in ("library's print", "past Python", "C library's", "child-print"):
        assert words in done.stderr.decode()


def test_an_encoding_without_a_character_prints_its_escape() -> None:
    done = run(COMMAND, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout.decode("cp1252").replace("\\U", "\\\\U"))
    assert b"\\U0001f3c3" in done.stdout


def test_a_closed_pipe_ends_a_command_without_a_traceback() -> None:
    code = COMMAND.replace("echo('{", "[echo('x' * 9999) for _ in range(99)]; echo('{")
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$CODE" | head -c 1; exit ${{PIPESTATUS[0]}}'],
        capture_output=True,
        env=os.environ | {"CODE": code},
        check=False,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_standard_output_is_whole_again_after_a_command(tmp_path: Path) -> None:
    code = COMMAND.replace('main(["figures"])', 'main(["figures"], standalone_mode=False)')
    done = run(code + "print('after')\nos.system('echo child after')\n")
    assert done.stdout.decode().splitlines()[1:] == ["after", "child after"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_a_table_shows_any_name_as_it_is(name: str) -> None:
    from rich.table import Table

    table = Table(name)
    table.add_row(name)
    console = rich_console(width=400, color_system=None)
    with console.capture() as capture:
        console.print(table)
        console.print(name)
    assert name.strip() in capture.get()


def test_a_name_in_square_brackets_is_no_markup() -> None:
    main = CleanErrorGroup("main")

    @main.command()
    def show() -> None:
        rich_console(width=80).print("[/red] and [bold]this[/bold] :boom:")
        echo("plain")

    done = CliRunner().invoke(main, ["show"])
    assert done.stdout == "[/red] and [bold]this[/bold] :boom:\nplain\n"
