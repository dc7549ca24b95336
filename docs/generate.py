"""Writes the reference pages of docs/ from the code: commands, settings, study file, metrics.

python -m docs.generate            # make docs
python -m docs.generate --check    # exit code 1 and a line a page where one is out of date
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sweep.cli import main as sweep
from sweep.study.config import StudyConfig
from sweep.study.launcher_settings import LauncherSettings
from sweep.study.search import paths
from sweep.study.search.settings import Choices, NamedSchedule, Range, whole_schedule
from sweep.study.thresholds.relative import RelativeThreshold
from uvtex import metric_catalogue as catalogue
from uvtex.cli import main as uvtex
from uvtex.config import PRESETS, Ramp, TrainConfig
from uvtex.console import CONTEXT
from uvtex.showroom.settings import ShowroomSettings
from uvtex.thresholds import Threshold

DOCS = Path(__file__).parent
WIDTH: dict[str, Any] = {"max_content_width": 96, "terminal_width": 96}
NOTE = "<!-- Made by `make docs`; do not edit. -->\n"


def cli() -> str:
    """Every command's own help."""
    parts = [
        "# Commands",
        "Every command prints this with `-h`. Exit codes: 0 done, 1 something went wrong while "
        "running, 2 wrong usage or settings, 130 stopped by Ctrl-C.",
    ]
    for name, group in (("uvtex", uvtex), ("sweep", sweep)):
        for path, command in commands(group, name):
            context = click.Context(command, info_name=path, **CONTEXT | WIDTH)
            parts += [f"## {path}", f"```text\n{command.get_help(context).rstrip()}\n```"]
    return "\n\n".join(parts)


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, hidden ones left out, with the words that call each."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from commands(inner, f"{path} {name}")


def settings() -> str:
    """The settings of a training run and of a showroom set."""
    rows = ["| setting | `poc05` | `atlas` |", "| --- | --- | --- |"]
    for key, value in PRESETS["atlas"].items():
        for path, chosen in _flat(key, value):
            default = TrainConfig().model_dump()
            for part in path.split("."):
                default = default[part]
            rows.append(f"| `{path}` | {_plain(default)} | {_plain(chosen)} |")
    return "\n\n".join(
        [
            "# Settings",
            "`uvtex train --config FILE.yaml` takes the keys of the first table. Flags win over "
            "the file, the file wins over the preset, the preset wins over the defaults below. "
            "[The rules of all settings files](study-file.md#how-the-file-is-read) hold here too.",
            "## A training run",
            table(TrainConfig),
            "### What the presets change",
            "\n".join(rows),
            "## A showroom set",
            "`data.showroom` of a study takes these. `uvtex showroom build` has flags for them.",
            table(ShowroomSettings),
        ]
    )


def _flat(path: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [(f"{path}.{key}", inner) for key, inner in value.items()]


def study_file() -> str:
    """The keys of a study file and of a file of named schedules."""
    return "\n\n".join(
        [
            "# The study file",
            "`sweep run FILE.yaml` takes these keys. `train` takes those of "
            "[a training run](settings.md#a-training-run), but for `epochs`, `schedule`, "
            "`thresholds` and `checkpoint_name`, which the study decides. `data.showroom` takes "
            "those of [a showroom set](settings.md#a-showroom-set).",
            table(StudyConfig),
            "## How the file is read",
            "\n".join(
                [
                    "- The file is YAML 1.2: `5e-2`, `.5` and `1e3` are numbers, `2024-01-01` and "
                    "`1:30` are texts. `yes`, `no`, `on` and `off` are true and false where a "
                    "setting is one or the other, and texts elsewhere.",
                    "- A key is the text that is written, so a schedule may be named `1`, `on` or "
                    "`null`. In a list, quote `null`, `true` and `false`.",
                    "- A key that is there twice is refused. A section without any value is as if "
                    "it were absent. Parts may be shared by anchors, aliases and `<<`.",
                    "- The file may be UTF-8 or UTF-16, with any line ends.",
                    "- A relative path counts from the file. Where it is not there, it counts from "
                    "the folder that the command runs in. `store` always counts from that folder, "
                    "as `--store` does.",
                    "- `~` is your home folder. Environment variables are not replaced. Write a "
                    "Windows path in single quotes or with `/`: in double quotes `\\n` is a line "
                    "break.",
                ]
            ),
            "## A threshold",
            "An absolute threshold gives `metric` and one of `at_least` and `at_most`.",
            table(Threshold),
            "A relative threshold refers to a schedule of "
            "[`sweep calibrate`](how-to/calibrate.md). A study without a calibration makes the "
            "least of one itself: the `baseline` and the schedules that its thresholds refer to, "
            "three seeds.",
            table(RelativeThreshold),
            "## The launcher",
            "`launcher` takes these. [How to use a Ray cluster](how-to/ray.md) has examples.",
            table(LauncherSettings),
            "## The search space",
            "`search.space` maps the path of a setting to a range or to choices. "
            "[How to search another setting](how-to/search-another-setting.md) has examples. "
            "Without `search.space` the space is:",
            whole_space(),
            "A range:",
            table(Range),
            "Choices:",
            table(Choices),
            "These paths may be named: " + ", ".join(f"`{path}`" for path in paths.searchable()),
            "These may not:",
            "\n".join(
                ["| path | why |", "| --- | --- |"]
                + [f"| `{path}` | {why} |" for path, why in paths.REFUSED.items()]
            ),
            "## A named schedule",
            "`search.schedules` names a file of these, `search.queue` the ones to try first.",
            table(NamedSchedule),
        ]
    )


def metrics() -> str:
    """The catalogue of metrics."""
    rows = ["| metric | title | better | needs | threshold | definition |", "|" + " --- |" * 6]
    for metric in catalogue.METRICS.values():
        better = "higher" if metric.higher_is_better else "lower"
        allowed = "yes" if metric.threshold else "no"
        keys = ", ".join(f"`{key}`" for key in metric.definition)
        needs = metric.needs or "any set"
        rows.append(
            f"| `{metric.name}` | {metric.title} | {better} | {needs} | {allowed} | {keys} |"
        )
    terms = [f"| `{key}` | {text} |" for key, text in catalogue.DEFINITIONS.items()]
    return "\n\n".join(
        [
            "# Metrics",
            "`ssim_uv` compares `U(a)` with the true texture `t`. `ssim_view` compares `R(U(v))` "
            "with the view `v`. The end of a name says what the figure is over:",
            "\n".join(
                [
                    "- `_visible`: the texels that the view sees. SSIM's window still reaches five "
                    "texels further.",
                    "- `_visible_alone`: the same, and unseen texels have no weight in the window.",
                    "- `_covered`: the texels that any camera sees.",
                    "- `_inside`: the pixels inside the view's mask.",
                    "- `_true`: the view that the renderer makes of the true texture, `R(t)`.",
                    "- `_noisy`: the view that the renderer makes after noise of 3/255 on `U(v)`.",
                ]
            ),
            "A data set that cannot tell a figure leaves it out. LPIPS needs AlexNet's weights: "
            "[how to use LPIPS](how-to/use-lpips.md).",
            "\n".join(rows),
            "## Definitions",
            "Every figure is stored with the text of its definitions. Two figures compare only if "
            "these texts agree.",
            "\n".join(["| key | definition |", "| --- | --- |", *terms]),
        ]
    )


def table(model: type[BaseModel]) -> str:
    """A model's keys, those of models inside it by their path."""
    rows = ["| key | default | what it is |", "| --- | --- | --- |"]
    rows += [f"| `{path}` | {default} | {text} |" for path, default, text in fields(model)]
    return "\n".join(rows)


def whole_space() -> str:
    """The space of a study that names none, as YAML."""
    lines = [
        f"  {path}: {{low: {values.low:g}, high: {values.high:g}}}"
        if isinstance(values, Range)
        else f"  {path}: {{choices: [{', '.join(map(str, values.choices))}]}}"
        for path, values in whole_schedule().items()
    ]
    return "\n".join(["```yaml", "space:", *lines, "```"])


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, default and description of each key."""
    described = descriptions(model)
    for name, field in model.model_fields.items():
        path, kind = f"{prefix}{field.alias or name}", field.annotation
        yield path, _default(field), _cell(described.get(name, ""))
        if _nested(kind):
            yield from fields(kind, f"{path}.")


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field of a model.

    Pydantic can read these too (``use_attribute_docstrings``), at each start of each program.
    """
    found: dict[str, str] = {}
    for cls in reversed(model.mro()):
        if not (isinstance(cls, type) and issubclass(cls, BaseModel)) or cls is BaseModel:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(docstring))),
                ):
                    found[name] = docstring
    return found


def _nested(kind: Any) -> TypeGuard[type[BaseModel]]:
    """Whether a key's value is a mapping whose keys have rows of their own."""
    return isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in (Ramp, Range)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value == whole_schedule():
        return "the schedule"
    return "" if value is PydanticUndefined or _nested(type(value)) else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        given = value.model_dump(mode="json", exclude_none=True)
        return f"`{next(iter(given.values()))}`" if len(given) == 1 else f"`{given}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "none"
    return "none" if value is None else f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(
        text.replace("``", "`").replace(":class:", "").replace(":mod:", "").split()
    ).replace("|", "\\|")


PAGES = {"cli.md": cli, "settings.md": settings, "study-file.md": study_file, "metrics.md": metrics}


def page(name: str) -> str:
    """The text that a page of ``PAGES`` should have."""
    return f"{NOTE}\n{PAGES[name]()}\n"


def main() -> int:
    """Writes the pages, or with ``--check`` says which are out of date."""
    old = []
    for name in PAGES:
        path, text = DOCS / name, page(name)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        old.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    if "--check" not in sys.argv:
        return 0
    for name in old:
        print(f"docs/{name} is out of date: run `make docs`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
