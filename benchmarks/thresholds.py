"""Metrics that a named schedule reaches over several seeds, to set a study's thresholds by.

    python -m benchmarks.thresholds configs/quickstart.yaml --schedule baseline --seeds 5

Each seed trains one run with the study's settings. The value of a run is the best of its epochs.
Each metric has its own best epoch, so the values flatter the schedule, and thresholds set by them
are not too low. The output has each seed's value, their mean and standard deviation, and the mean
plus two standard deviations.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from pathlib import Path

import click

from sweep.study.config import StudyConfig
from sweep.study.file import load
from sweep.study.folder import Stage
from uvtex.console import PATH, CleanErrorCommand


def run(job: tuple[StudyConfig, str, Stage, str | None, int]) -> dict[str, list[float]]:
    """Trains one run; metric -> its value in each epoch."""
    import torch

    from uvtex.data.store import PairStore
    from uvtex.training.trainer import Trainer

    torch.set_num_threads(1)
    study, name, stage, preset, seed = job
    weights = study.search.schedule(study.search.schedules[name], study.epochs(stage))
    config = study.train_config(stage, weights).model_copy(update={"seed": seed})
    if preset:
        config = config.model_copy(update={"preset": preset})
    data = PairStore.open(study.data.path, config)
    with tempfile.TemporaryDirectory() as folder:
        reports = list(Trainer(config, data, Path(folder)).epochs())
    curves = {key: [r.val[key] for r in reports] for key in reports[0].val}
    return {**curves, "seconds": [r.seconds for r in reports]}


@click.command(cls=CleanErrorCommand)
@click.argument("study_file", type=PATH)
@click.option(
    "--schedule",
    "names",
    multiple=True,
    default=("baseline",),
    help="Name of a schedule of the study; may be repeated.",
)
@click.option(
    "--stage", type=click.Choice(["probe", "full"]), default="full", help="Length of the runs."
)
@click.option("--seeds", type=int, default=5, help="Runs of each schedule.")
@click.option("--preset", help="Networks to train: poc05 or atlas; the study's by default.")
@click.option("--jobs", type=int, default=2, help="Runs at the same time.")
def main(
    study_file: Path,
    names: tuple[str, ...],
    stage: Stage,
    seeds: int,
    preset: str | None,
    jobs: int,
) -> None:
    """Train the schedules of STUDY_FILE under several seeds and print their metrics.

    \b
    Example:
      python -m benchmarks.thresholds configs/quickstart.yaml --schedule baseline --seeds 5
    """
    study = load(study_file)
    shown = [t.metric for t in study.thresholds] + ["ssim_uv_visible"]
    for name in names:
        work = [(study, name, stage, preset, seed) for seed in range(seeds)]
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            curves = pool.map(run, work, chunksize=1)
        print(
            f"{preset or study.train['preset']}, {name}, {stage} ({study.epochs(stage)} epochs), "
            f"seeds 0..{seeds - 1}, "
            f"{statistics.mean(s for c in curves for s in c['seconds']):.1f} s an epoch"
        )
        for metric in shown:
            best = [max(c[metric]) for c in curves]
            mean = statistics.mean(best)
            sd = statistics.stdev(best) if seeds > 1 else float("nan")
            figures = " ".join(f"{value:.4f}" for value in best)
            print(
                f"  {metric:16} {figures}  mean {mean:.4f}  sd {sd:.4f}  "
                f"mean + 2 sd {mean + 2 * sd:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
