"""The original's tensors are matched to the networks of this project."""

import pytest
import torch

from tests.runs.poc05.original import TheirUNet, scramble
from uvtex.models import UNet
from uvtex.runs.poc05.matching import Misfit, match


def test_convolutions_without_a_bias_get_a_bias_of_zero() -> None:
    theirs = scramble(TheirUNet(bias=False))
    ours = UNet().eval()
    ours.load_state_dict(match(ours.state_dict(), theirs.state_dict()))
    view = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(view), theirs(view))


def test_a_batch_norm_is_matched_to_the_convolution_before_it() -> None:
    """Also if the decoder is declared before the encoder."""
    theirs = scramble(TheirUNet()).state_dict()
    swapped = {k: v for half in ("dec", "enc") for k, v in theirs.items() if k.startswith(half)}
    ours = UNet().state_dict()
    found, expected = match(ours, swapped), match(ours, theirs)
    assert found.keys() == ours.keys()
    assert all(torch.equal(found[key], expected[key]) for key in ours)


def test_half_precision_becomes_single_and_counters_may_be_missing() -> None:
    ours = UNet().state_dict()
    theirs = {
        key: value.half()
        for key, value in scramble(TheirUNet()).state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert {v.dtype for v in match(ours, theirs).values()} == {torch.float32, torch.int64}
    with pytest.raises(Misfit, match="weight 128, bias 128, running_mean 128"):
        match(ours, {k: v for k, v in theirs.items() if not k.startswith("enc1_bn")})
