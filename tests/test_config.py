from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from uvtex.config import PRESETS, TERMS, Ramp, Schedule, TrainConfig, from_flags, resolve
from uvtex.errors import ConfigError
from uvtex.settings import differences, dump_yaml, load_yaml, validate

ramps = st.builds(Ramp, start=st.floats(0.01, 5), end=st.none() | st.floats(0.01, 5))
configs = st.builds(
    TrainConfig,
    preset=st.sampled_from(sorted(PRESETS)),
    width=st.floats(0.01, 4),
    image_size=st.integers(2, 128).map(lambda n: n * 16),
    epochs=st.integers(1, 1000),
    schedule=st.builds(
        Schedule,
        **dict.fromkeys(TERMS, ramps),
        lr_scheduler=st.sampled_from(["none", "cosine"]),
        lr_scheduler_tmax=st.none() | st.integers(1, 100),
    ),
    val_split=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)


@given(configs)
def test_settings_written_as_yaml_read_back_equal(config: TrainConfig) -> None:
    assert validate(TrainConfig, yaml.safe_load(dump_yaml(config)), "round trip") == config


def test_the_defaults_equal_the_settings_of_the_original() -> None:
    config = resolve()
    assert (config.preset, config.epochs, config.batch_size, config.lr) == ("poc05", 40, 6, 2e-4)
    assert {t: getattr(config.schedule, t).start for t in TERMS} == {
        "cycle": 0.30,
        "uv": 0.25,
        "direct": 0.30,
        "cross": 0.15,
    }


def test_later_layers_win_over_earlier_and_over_the_preset() -> None:
    config = resolve(
        {"preset": "atlas", "schedule": {"uv": {"start": 0.5, "end": 0.1}}},
        {"w_flow": 3.0, "schedule": {"uv": {"start": 0.4}}},
    )
    assert config.w_flow == 3.0
    assert config.schedule.uv == Ramp(start=0.4, end=0.1)
    assert resolve({"preset": "atlas"}).w_flow == PRESETS["atlas"]["w_flow"]
    assert resolve({"preset": "atlas"}, {"lr": 5e-4}).lr == 5e-4


@pytest.mark.parametrize(
    ("file", "flags", "expected"),
    [
        ({"start": 0.9, "end": 0.5}, {"w_cycle_end": 0.1}, Ramp(start=0.9, end=0.1)),
        ({"start": 0.9, "end": 0.5}, {"w_cycle": 0.2}, Ramp(start=0.2, end=0.5)),
        (0.9, {"w_cycle_end": 0.1}, Ramp(start=0.9, end=0.1)),
        ({"start": 0.9, "end": 0.5}, {"w_uv_end": 0.1}, Ramp(start=0.9, end=0.5)),
        (None, {"w_cycle_end": 0.1}, Ramp(start=0.3, end=0.1)),
        (None, {"w_cycle": 0, "w_cycle_end": 0.0}, Ramp(start=0, end=0)),
        ({"end": 0.1}, {}, Ramp(start=0.3, end=0.1)),
    ],
)
def test_a_flag_changes_one_end_of_a_weight_and_leaves_the_other(
    file: object, flags: dict[str, float], expected: Ramp
) -> None:
    settings = {} if file is None else {"schedule": {"cycle": file}}
    assert resolve(settings, from_flags(flags)).schedule.cycle == expected


def test_a_plain_number_in_a_later_layer_sets_the_start() -> None:
    layers = ({"schedule": {"uv": {"start": 0.9, "end": 0.5}}}, {"schedule": {"uv": 0.2}})
    assert resolve(*layers).schedule.uv == Ramp(start=0.2, end=0.5)
    assert resolve(layers[1]).schedule.uv == Ramp(start=0.2)


def test_every_problem_is_listed_with_its_path_and_the_nearest_key() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({"widht": 1, "epochs": 0, "schedule": {"cycle": -1, "dirrect": 0.3}})
    message = str(caught.value)
    assert "widht: unknown key; did you mean 'width'?" in message
    assert "schedule.dirrect: unknown key; did you mean 'direct'?" in message
    assert "epochs: Input should be greater than or equal to 1, got 0" in message
    assert "schedule.cycle.start: Input should be greater than or equal to 0, got -1" in message


def test_a_schedule_whose_weights_all_end_at_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="every weight is 0 at the end"):
        resolve({"schedule": {term: {"start": 1, "end": 0} for term in TERMS}})


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_a_checkpoint_name_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="checkpoint_name"):
        resolve({"checkpoint_name": name})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("a: [1", "not valid YAML"),
        ("- 1\n", "must hold keys"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_bad_settings_file_is_named(
    tmp_path: Path, content: str | bytes | None, says: str
) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=says) as caught:
        load_yaml(path)
    assert str(path) in str(caught.value)


def test_differences_name_the_nested_key_and_treat_none_as_unset() -> None:
    old = {"lr": 1, "schedule": {"uv": {"start": 0.2, "end": None}, "cycle": 1}, "data": {"a": 1}}
    new = {"lr": 2, "schedule": {"uv": {"start": 0.3}, "cycle": 1}, "data": None}
    found = differences(old, new)
    assert found == {"lr": (1, 2), "schedule.uv.start": (0.2, 0.3), "data.a": (1, None)}
    assert list(differences(old, new, ignoring=("schedule", "data.a"))) == ["lr"]
    assert list(differences(old, new, ignoring=("sched",))) == list(found)
