"""The documentation agrees with the code: generated pages, command lines and links."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs import generate
from sweep.cli import main as sweep
from uvtex.cli import main as uvtex

ROOT = Path(__file__).parents[1]
GROUPS = {"uvtex": uvtex, "sweep": sweep}
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("mlruns/*.md")]
    if path.name not in ("log.md", "CHANGELOG.md") and path.parent.name != "decisions"
)
IDS = [path.relative_to(ROOT).as_posix() for path in PAGES]


def test_the_generated_pages_are_up_to_date() -> None:
    """Runs in its own process, because click keeps the help options of the first context."""
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_and_option_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, group in GROUPS.items():
        for path, command in generate.commands(group, name):
            assert f"## {path}\n" in text
            assert command.help, f"{path} has no help"
            for option in command.params:
                if isinstance(option, click.Option) and not option.hidden:
                    assert option.help, f"{path} {option.opts[0]} has no help"
                    assert option.opts[0] in text


@pytest.mark.parametrize("page", ["settings.md", "study-file.md"])
def test_every_setting_is_described(page: str) -> None:
    rows = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row.endswith("|  |")] == []


def command_lines(text: str) -> Iterator[list[str]]:
    """The calls of our commands in the shell blocks of a page, without prompt and comment."""
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, flags=re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(
                line.removeprefix("$ ").replace("<", "").replace(">", ""), comments=True
            )
            words = [word.rpartition("/")[2] if i == 0 else word for i, word in enumerate(words)]
            if words and words[0] in GROUPS:
                yield words


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_line_of_a_page_parses(page: Path) -> None:
    for name, *words in command_lines(page.read_text(encoding="utf-8")):
        command: click.Command = GROUPS[name]
        context = click.Context(command, info_name=name, help_option_names=["-h", "--help"])
        while isinstance(command, click.Group):
            assert words, f"{page.name}: `{name}` lacks a command"
            found = command.get_command(context, words[0])
            assert found is not None, f"{page.name}: `{name} {words[0]}` is no command"
            command, words = found, words[1:]
        try:
            command.make_parser(context).parse_args(list(words))
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {shlex.join([name, *words])}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        file = page if not place else page.parent / place
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in [slug(heading) for heading in headings], f"{page.name}: {target}"


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
