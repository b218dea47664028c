"""A real browser over pages opened from disk, and axe-core, which finds what people cannot see or reach on a page."""

import shutil
import time
from contextlib import contextmanager

import pytest

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
needs_browser = [
    pytest.mark.process,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver"),
]


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def opened(browser, file, fragment=""):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(f"{file.as_uri()}{fragment}")
    return browser


def eventually(holds):
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def press(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def pick(browser, name, value):
    script = "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event("
    browser.execute_script(f"{script}'change'))", name, value)


def type_key(browser, key):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(key).perform()


@contextmanager
def narrowed(browser, width):
    """A window of this width, as a telephone has."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def in_print(browser):
    """Shows the page as it is printed."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")


def on_screen(browser):
    """Shows the page as on a screen again."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def violations(browser, theme):
    """What axe-core finds on the page that is open, in the light or the dark theme: (rule, element) of each finding."""
    from axe_core_python.selenium import Axe

    browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    browser.set_script_timeout(120)
    browser.execute_script(Axe().axe_script)
    run = "axe.run({preload: false, resultTypes: ['violations']}).then(arguments[0])"
    found = browser.execute_async_script(run)["violations"]
    return [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]]
