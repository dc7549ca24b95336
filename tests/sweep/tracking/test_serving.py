"""The registered model behind MLflow's scoring server: pictures of a livery over HTTP."""

from __future__ import annotations

import json
import urllib.error

import numpy as np
import pytest
import torch

from sweep.study.config import StudyConfig
from sweep.tracking import export
from sweep.tracking.program import PicturesToTexture
from sweep.tracking.registry import fetch_checkpoint
from tests.sweep.tracking.model_server import answer, serving
from tests.sweep.tracking.tracked_runs import full_run, promote_run
from uvtex.runs.checkpoint import load

CHAMPION = "models:/uvtex@champion"


@pytest.mark.slow
def test_a_server_makes_one_texture_of_several_pictures(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_run(study, full_run(study, 0, reach=0.66))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", study.tracking_uri)
    checkpoint = fetch_checkpoint(CHAMPION)
    example = checkpoint.parent.parent / "serving_input_example.json"
    program = PicturesToTexture(load(checkpoint).predictor, 32)
    rng = np.random.default_rng(0)
    with serving(CHAMPION, study.tracking_uri) as address:
        for count in (1, 3):
            pictures = rng.integers(0, 256, (1, count, 20, 30, 3), dtype=np.uint8)
            made = answer(address, json.dumps({"inputs": pictures.tolist()}))
            with torch.no_grad():
                expected = program(torch.from_numpy(pictures))[0].numpy()
            np.testing.assert_allclose(made, expected, atol=1)
        made = answer(address, example.read_text())
        assert np.shape(made["texture"]) == (export.EXAMPLE[0], 32, 32, 3)
        assert np.shape(made["left_out"]) == np.shape(made["warnings"]) == export.EXAMPLE[:2]
        with pytest.raises(urllib.error.HTTPError) as refused:
            answer(address, json.dumps({"inputs": pictures[0].tolist()}))
        assert refused.value.code == 400
        assert "-1, -1, -1, -1, 3" in refused.value.read().decode()
