"""The launcher without processes, by which the driver is tested, keeps the contract."""

from __future__ import annotations

import pytest

from sweep.launchers.base import Launcher
from tests.sweep.fakes import RUNNER, InlineLauncher
from tests.sweep.launchers.contract import LauncherContract, MakeLauncher


class TestInline(LauncherContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launchers(cls) -> MakeLauncher:
        def make(slots: int = 1, runner: str = RUNNER) -> Launcher:
            return InlineLauncher(slots)

        return make
