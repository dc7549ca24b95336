"""The confidence: a sum of piecewise linear functions of what speaks for a place."""

import math
from itertools import pairwise

import pytest
import torch

from uvtex.imaging.map_estimation.certainty.confidence import AdditiveModel, fitted_model
from uvtex.imaging.map_estimation.certainty.support import Support

NONE = [(0.0, 0.0)]


def model(**terms: list[tuple[float, float]]) -> AdditiveModel:
    """One that adds nothing for the features that are not named."""
    return AdditiveModel(-1.0, {name: terms.get(name, NONE) for name in Support.names()})


def features(**values: float) -> torch.Tensor:
    return torch.tensor([[values.get(name, 0.0) for name in Support.names()]])


def test_log_odds_add_up_and_lie_on_straight_lines() -> None:
    some = model(lead=[(0.0, 0.0), (4.0, 2.0)], misfit=[(1.0, 1.0), (2.0, -1.0)])
    told = some.probability(features(lead=2.0, misfit=1.5))
    assert told.item() == pytest.approx(1 / (1 + math.exp(-(-1 + 1 + 0))))


def test_outside_its_values_a_term_stays() -> None:
    some = model(lead=[(0.0, 0.0), (4.0, 2.0)])
    low, high = (some.probability(features(lead=lead)).item() for lead in (-100.0, 100.0))
    assert low == pytest.approx(1 / (1 + math.exp(1)))
    assert high == pytest.approx(1 / (1 + math.exp(-1)))


def test_no_pixels_have_no_confidence() -> None:
    assert fitted_model().probability(Support.none().features()).shape == (0,)


def test_a_model_is_read_as_it_was_written() -> None:
    some = model(crowding=[(0.0, 0.25), (1.0, -2.0)])
    again = AdditiveModel.parse(some.text())
    assert again.text() == some.text()
    told = features(crowding=0.5)
    assert again.probability(told).item() == some.probability(told).item()


def test_a_model_of_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="the features must be lead, "):
        AdditiveModel.parse('{"intercept": 0, "terms": {"lead": [[0, 0]]}}')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"intercept": -1.0', '"intercept": null'),
        ('"intercept": -1.0', '"intercept": NaN'),
        ('"intercept": -1.0,', ""),
        ('"lead": [[0.0, 0.0]]', '"lead": []'),
        ('"lead": [[0.0, 0.0]]', '"lead": 3'),
        ('"lead": [[0.0, 0.0]]', '"lead": [[1.0, 0.0], [0.0, 1.0]]'),
        ('"terms": {', '"terms": ['),
    ],
)
def test_a_damaged_model_is_refused(old: str, new: str) -> None:
    text = model().text()
    assert old in text
    with pytest.raises(ValueError, match=r".+"):
        AdditiveModel.parse(text.replace(old, new))


def test_what_is_fitted_is_surer_of_pixels_with_more_support() -> None:
    terms = fitted_model().terms
    for term in terms.values():
        assert all(one[0] < two[0] for one, two in pairwise(term))
    for name in ("lead", "wide_lead", "least_lead"):
        assert terms[name][-1][1] > terms[name][0][1]
    for name in ("deviation", "roughness", "stretch", "crowding"):
        assert terms[name][-1][1] < terms[name][0][1]
