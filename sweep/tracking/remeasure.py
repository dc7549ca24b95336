"""Measures two checkpoints on one side of a data set, for versions whose records do not compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sweep.decisions.gate import VersionFigures
from sweep.study.config import StudyConfig
from sweep.tracking.client import RegistryError
from uvtex.data.splits import Split
from uvtex.data.store import PairStore
from uvtex.evaluation.measure import measure_split
from uvtex.runs.checkpoint import load

NAMES = {"test": "test", "val": "validation"}


def measure_both(
    study: StudyConfig,
    challenger: tuple[VersionFigures, Path],
    champion: tuple[VersionFigures, Path],
) -> tuple[VersionFigures, VersionFigures]:
    """New figures of challenger and champion, on one side of the challenger's data set.

    It is the test side, or the validation side of a study without one.

    The champion may have been trained on these very liveries. That favours the champion, so a
    challenger never wins by it.

    Args:
        study: the challenger's study, for its data set.
        challenger: its recorded figures and its checkpoint.
        champion: likewise.

    Raises:
        RegistryError: the two make textures of different sizes.
        UvtexError: a checkpoint or the data set cannot be used.
    """
    new, old = (load(checkpoint) for _, checkpoint in (challenger, champion))
    if new.config.image_size != old.config.image_size:
        raise RegistryError(
            f"the champion makes textures of {old.config.image_size} pixels, the new version of "
            f"{new.config.image_size}"
        )
    config = new.config.model_copy(update={"device": "cpu", "precision": "float32"})
    store = PairStore.open(study.data.path, config)
    test = store.test_fingerprint()
    split: Split = "val" if test is None else "test"
    measured = []
    for figures, checkpoint in (challenger, champion):
        found = measure_split(checkpoint, store, split)
        measured.append(
            replace(
                figures,
                metrics=found.metrics,
                definitions=found.metric_versions,
                data_fingerprint=test or store.fingerprint(),
                source=f"both measured on this study's {NAMES[split]} pictures",
            )
        )
    return measured[0], measured[1]
