"""One ``sweep run``: from the study file to the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

from sweep.driving import display
from sweep.report.summary import summarise
from sweep.study.config import StudyConfig
from sweep.study.file import changes, parse
from sweep.study.folder import StudyFolder, records
from sweep.study.lease import StudyTaken, lease
from sweep.study.summary_record import Summary, write_summary
from uvtex.config import dump_yaml, load_yaml
from uvtex.errors import ConfigError, UvtexError
from uvtex.files import write_atomic


def saved(store: Path, name: str) -> StudyConfig:
    """The settings that a study was last run with, as they hold for the study in ``store``.

    Raises:
        UvtexError: there is no such study in ``store``; says which there are.
    """
    path = StudyFolder(store, name).settings
    if not path.is_file():
        there = ", ".join(names(store)) or "none"
        raise UvtexError(f"{path}: no such study; studies in {store}: {there}")
    return parse(load_yaml(path), str(path)).in_store(store)


def names(store: Path) -> list[str]:
    """The studies in a store."""
    return sorted(path.parent.name for path in store.glob(str(StudyFolder(Path(), "*").settings)))


def check(study: StudyConfig) -> None:
    """Checks ``study`` against what is there under its name.

    Raises:
        ConfigError: the study has trials already, made with other settings; names each.
    """
    path = study.paths.settings
    if path.is_file() and records(study.paths.folder):
        before = parse(load_yaml(path), str(path))
        if differing := changes(before, study):
            listed = "\n  ".join(differing)
            raise ConfigError(
                f"study {study.name!r} has trials that were made with other settings:\n  {listed}\n"
                "go back to those, or give the study another name"
            )


def prepare(study: StudyConfig) -> None:
    """Checks ``study``, and saves its settings. The caller holds the study's lease.

    Raises:
        ConfigError: see :func:`check`.
    """
    check(study)
    study.paths.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(study.paths.settings, dump_yaml(study).encode())


def rehearse(study: StudyConfig) -> str | None:
    """What ``--dry-run`` does: :func:`prepare`, or :func:`check` alone while a driver is at work.

    Returns:
        Why the settings were not saved; None if they were.

    Raises:
        ConfigError: see :func:`check`.
    """
    try:
        with lease(study.paths):
            prepare(study)
    except StudyTaken as taken:
        check(study)
        return f"the settings were checked but not saved: {taken}"
    return None


def run(study: StudyConfig, out: TextIO) -> tuple[str, Summary]:
    """Runs the study under its lease; progress goes to ``out``.

    Returns:
        How it ended (``done``, ``interrupted``, ``out of time``), and the summary.

    Raises:
        UvtexError: another driver owns it, or it cannot go on.
        BackboneMissing: a threshold is on LPIPS, and its backbone cannot be had.
    """
    from sweep.driving.driver import Driver
    from sweep.launchers.local import LocalLauncher, local_slots
    from sweep.tracking.mirror import MlflowMirror

    with lease(study.paths):
        prepare(study)
        _check_lpips(study)
        build_data(study, out)
        device = str(study.train["device"])
        launcher = LocalLauncher(local_slots(device, study.workers), study.paths.folder)
        view = display.progress_display(study.name, study.thresholds, out)
        mirror = MlflowMirror(study, view.note)
        try:
            outcome = Driver(study, launcher, mirror, view).run()
            result = _conclude(study, mirror, view, outcome)
        finally:
            view.close()
            mirror.close()
    return outcome, result


def build_data(study: StudyConfig, out: TextIO) -> None:
    """Renders the study's showroom set, unless its folder holds just that already.

    Raises:
        ConfigError: there is no data set, and the study does not say how to render one.
        DataError: the folder holds another set than the study says.
    """
    folder = study.data.path
    if study.data.showroom is None:
        if (folder / "manifest.json").is_file():
            return
        raise ConfigError(
            f"data.path: {folder} holds no manifest.json; give the path of a data set, or a "
            "`showroom` beside it to have one rendered"
        )
    from uvtex.config import validate
    from uvtex.showroom import build
    from uvtex.showroom.settings import ShowroomSettings

    settings = validate(ShowroomSettings, study.data.showroom, "data.showroom")
    print(f"showroom set: {folder}", file=out, flush=True)
    build(settings, folder, progress=lambda line: print(f"  {line}", file=out, flush=True))


def _check_lpips(study: StudyConfig) -> None:
    if study.wants_lpips:
        from uvtex.metrics.lpips import require_lpips

        require_lpips(study.train.get("lpips_backbone"))


def _conclude(
    study: StudyConfig, mirror: Any, view: display.ProgressDisplay, outcome: str
) -> Summary:
    """Summary, report and MLflow's last word; none of them may undo what was found."""
    result = summarise(study).model_copy(update={"outcome": outcome})
    if outcome != "interrupted" and result.mean_colour is None:
        result = result.model_copy(update={"mean_colour": _mean_colour(study, view)})
    write_summary(study, result)
    report = None
    try:
        from sweep.report import write_report

        report = write_report(study)
        result = result.model_copy(update={"report": str(report)})
        write_summary(study, result)
    except UvtexError as error:
        view.note(f"no report: {error}")
    mirror.study_ended(result, report, "running" if outcome == "interrupted" else "complete")
    if mirror.behind:
        view.note(f"MLflow misses something; `sweep sync {study.name}` makes it up")
    return result


def _mean_colour(study: StudyConfig, view: display.ProgressDisplay) -> dict[str, float] | None:
    from uvtex.config import resolve
    from uvtex.evaluation.measure import mean_colour

    try:
        return mean_colour(study.data.path, resolve(study.train))
    except UvtexError as error:
        view.note(f"no mean-colour figures: {error}")
        return None
