"""Measures two checkpoints on one validation set, for versions whose records do not compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sweep.decisions.gate import VersionFigures
from sweep.study.config import StudyConfig
from sweep.tracking.client import RegistryError
from uvtex.data.store import PairStore
from uvtex.evaluation.measure import measure
from uvtex.metric_catalogue import versions
from uvtex.metrics.lpips import load_lpips
from uvtex.runs.checkpoint import load


def measure_both(
    study: StudyConfig,
    challenger: tuple[VersionFigures, Path],
    champion: tuple[VersionFigures, Path],
) -> tuple[VersionFigures, VersionFigures]:
    """New figures of challenger and champion, on the challenger's validation pictures.

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
    lpips = load_lpips(config.lpips_backbone, store.device)
    definitions = versions(lpips.version if lpips else None)
    fingerprint = store.fingerprint()
    measured = [
        replace(
            figures,
            metrics=measure(loaded.predictor, loaded.renderer, store, config, lpips),
            definitions=definitions,
            data_fingerprint=fingerprint,
            source="both measured on this study's validation pictures",
        )
        for loaded, (figures, _) in zip((new, old), (challenger, champion), strict=True)
    ]
    return measured[0], measured[1]
