"""MLflow's own pages in Chromium: the runs of a study, a comparison, and the champion.

The tests marked ``browser`` are canaries: they click pages that are MLflow's, so a new release of
MLflow can break them while this project is right. Leave them out with ``-m "not browser"``.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as ec
from selenium.webdriver.support.ui import WebDriverWait

from sweep.study.config import StudyConfig
from sweep.tracking.client import TrackingError
from sweep.tracking.pages import serve_ui
from sweep.tracking.sync import sync
from tests.sweep.made_study import empty_store, make_whole_study
from tests.sweep.tracking.mlflow_server import running_server
from tests.sweep.tracking.tracked_runs import promote_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 60
NOT_READY = (
    NoSuchElementException,
    StaleElementReferenceException,
    ElementClickInterceptedException,
    ElementNotInteractableException,
)
"""The errors of a click on a page that is still being drawn."""


class Pages:
    """A browser on a server, with the actions that the tests need."""

    def __init__(self, browser: webdriver.Chrome, address: str, screenshots: Path) -> None:
        self.browser, self.address, self._screenshots = browser, address, screenshots
        self._wait = WebDriverWait(browser, PATIENCE, ignored_exceptions=NOT_READY)

    def go(self, path: str) -> None:
        self.browser.get(f"{self.address}/#{path}")

    def see(self, text: str) -> WebElement:
        """Waits until ``text`` is on the page."""
        return self._wait.until(ec.presence_of_element_located((By.XPATH, _with(text))))

    def click(self, xpath: str) -> None:
        self._wait.until(lambda page: page.find_element(By.XPATH, xpath).click() is None)

    def shows(self, text: str) -> bool:
        """Whether ``text`` is on the page now."""
        return bool(self.browser.find_elements(By.XPATH, _with(text)))

    def tick(self, run: str) -> None:
        """Selects a row of the table of runs by its checkbox, which is in another container."""
        row = self.see(run).find_element(By.XPATH, "./ancestor::*[@role='row']")
        index = row.get_attribute("row-index")
        self.click(f"//*[@role='row'][@row-index='{index}']//input[@type='checkbox']")

    def screenshot(self, name: str) -> None:
        self.browser.save_screenshot(str(self._screenshots / f"{name}.png"))


def _has(text: str) -> str:
    return f"contains(normalize-space(.), '{text}')"


def _with(text: str) -> str:
    return f"//*[text()[contains(normalize-space(.), '{text}')]]"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    root = tmp_path_factory.mktemp("pages")
    empty_store(root)
    study = make_whole_study(root, trials=4)
    sync(study)
    full = study.paths.run_dir(3, "full")
    assert promote_run(study, full).champion
    return study


@pytest.fixture(scope="module")
def browsed(study: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed")
    options = Options()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1500,1000"):
        options.add_argument(flag)
    screenshots = tmp_path_factory.mktemp("screenshots")
    with running_server(study.tracking_uri) as address:
        browser = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield Pages(browser, address, screenshots)
        finally:
            browser.quit()


@pytest.fixture
def pages(browsed: Pages, request: pytest.FixtureRequest) -> Iterator[Pages]:
    """Saves a screenshot of each test's last page in pytest's folder."""
    yield browsed
    browsed.screenshot(request.node.name)


@pytest.mark.browser
def test_runs_are_nested_below_their_study_and_two_can_be_compared(
    pages: Pages, study: StudyConfig
) -> None:
    pages.go("/experiments")
    pages.click(f"//a[{_has(study.name)}]")
    pages.click("//button[normalize-space(.)='Got it']")  # news, shown once for each profile
    pages.click("//a[normalize-space(.)='Training runs']")
    pages.see(study.name)
    assert not pages.shows("0000 probe baseline")  # below its parent, which is closed at first
    pages.click("//*[@role='gridcell'][contains(@col-id, 'Run Name')]//button")
    for name in ("0000 probe baseline", "0001 probe uv-heavy", "0003 probe search"):
        pages.see(name)
    pages.screenshot("runs")
    for name in ("0000 probe baseline", "0001 probe uv-heavy"):
        pages.tick(name)
    pages.click("//button[normalize-space(.)='Compare']")
    pages.see("Comparing 2 Runs from 1 Experiment")
    pages.see("w_direct_end")
    pages.screenshot("compared")


@pytest.mark.browser
def test_the_champion_is_in_the_registry(pages: Pages) -> None:
    pages.go("/models")
    pages.click("//button[normalize-space(.)='Try it now']")  # news, shown once for each profile
    pages.click(f"//a[{_has('uvtex')}]")
    pages.see("champion")
    pages.screenshot("model")
    pages.click(f"//a[{_has('Version 1')}]")
    pages.see("0003 full search")
    pages.screenshot("version")
    assert pages.shows("0003 full search")


def test_a_port_in_use_is_refused(study: StudyConfig) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=f"port {port} on 127.0.0.1 cannot be used"):
            serve_ui(study.tracking_uri, port)


def test_pages_without_a_store_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no store"):
        serve_ui(f"sqlite:///{tmp_path}/mlflow.db", 0)
