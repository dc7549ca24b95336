"""A run that is killed with SIGKILL and resumed equals an uninterrupted one."""

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import kill
from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.runs import checkpoint
from uvtex.settings import load_yaml
from uvtex.training.trainer import Trainer

OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
EPOCHS = 8
SELF_KILLED = """
import os, signal, sys, threading
left, seconds, rename = int(sys.argv.pop(1)), float(sys.argv.pop(1)), os.replace

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def replace(*names):
    global left
    left -= 1
    if left == 0:
        threading.Timer(seconds, die).start() if seconds else die()
    rename(*names)

os.replace = replace
from uvtex.cli import main
main()
"""
"""`uvtex` that kills itself some seconds after it writes its n-th file; at 0 s before the rename.

It kills itself, so that the kill is in time on a busy machine too."""


def train(data: Path, file: Path, folder: Path) -> Path:
    config = resolve(load_yaml(file))
    for _ in Trainer(config, PairStore.open(data, config), folder).epochs():
        pass
    return folder


def test_a_killed_run_resumes_bit_for_bit(tiny_set: Path, tmp_path: Path) -> None:
    """Two kills: one anywhere in an epoch, one in the middle of a write. Augmentation is on."""
    file = kill.settings(tmp_path, epochs=EPOCHS)
    whole = train(tiny_set, file, tmp_path / "whole")
    run = tmp_path / kill.RUN
    rng = random.Random(4)
    moments = [(rng.randint(3, 4), rng.uniform(0.01, 0.3)), (rng.randint(4, 6), 0)]
    done = [0]
    for files, seconds in moments:
        program = ["-c", SELF_KILLED, str(files), str(seconds)]
        process = kill.start(tiny_set, file, tmp_path, program, OFFLINE)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        done.append(kill.epochs(run))
    assert kill.leftovers(run) == 1  # of the second kill
    assert 0 < done[1] < done[2] < EPOCHS
    kill.finish(kill.start(tiny_set, file, tmp_path, env=OFFLINE))
    assert kill.differences(run, whole) == []
    assert kill.leftovers(run) == 0


def test_two_runs_of_one_seed_write_the_same_reports_byte_for_byte(
    tiny_set: Path, tmp_path: Path
) -> None:
    file = kill.settings(tmp_path, epochs=2)
    one, two = (train(tiny_set, file, tmp_path / name) for name in "ab")
    assert (one / "epochs.jsonl").read_bytes() != (two / "epochs.jsonl").read_bytes()
    assert kill.timeless(one) == kill.timeless(two)
    assert kill.differences(one, two) == []
    other = train(tiny_set, kill.settings(tmp_path, epochs=2, seed=1), tmp_path / "c")
    assert kill.timeless(one) != kill.timeless(other)


def remove_a_checkpoint(run: Path) -> None:
    (run / "checkpoints/killed.safetensors").unlink()


def change_a_figure(run: Path) -> None:
    file = run / "epochs.jsonl"
    file.write_text(file.read_text().replace('"lr": 0.001', '"lr": 0.0010001'))


def turn_a_bit(run: Path) -> None:
    file = run / "checkpoints/killed_last.safetensors"
    tensors, header = checkpoint.read(file)
    value = next(v for k, v in tensors.items() if k.startswith("optimizer.renderer"))
    value.view(torch.int32).view(-1)[0] ^= 1
    checkpoint.save(file, tensors, header)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove_a_checkpoint, "files {'killed.safetensors'}"),
        (change_a_figure, "epochs.jsonl"),
        (turn_a_bit, "tensors of killed_last.safetensors"),
    ],
)
def test_the_comparison_names_each_difference(
    tiny_set: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    file = kill.settings(tmp_path, epochs=1)
    one, two = (train(tiny_set, file, tmp_path / name) for name in "ab")
    spoil(one)
    assert kill.differences(one, two) == [says]
