"""The page in a real browser: on a desktop and on a phone, in both color schemes, and by keyboard."""

import base64
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest

from edge.types import Box
from tests.support.commands import EDGE
from tests.support.images import PORTRAIT_FACE

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from tests.support import browser
from tests.support.browser import Browser, visible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.PROGRAM is None, reason="sudo apt install chromium"),
]

TOKEN = "correct-horse-battery"
HAS_FACE = "document.querySelectorAll('#faces .face').length > 0"
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# Contrast ratio of two colors of style.css, WCAG 2.2, 1.4.3.
CONTRAST = """((first, second) => {
    const luminance = (name) => {
        const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1);
        const parts = hex.match(/../g).map((two) => parseInt(two, 16) / 255);
        const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const [high, low] = [luminance(first), luminance(second)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
})"""


class EdgeService:
    """`edge run` with the sink `web`. A context manager that leaves no process behind."""

    def __init__(self, sink="web:0", source="synthetic"):
        self._command = [EDGE, "run", source, "-s", sink]

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr
        line = self._process.stderr.readline()
        found = re.search(r"http://[^/]+:(\d+)/", line)
        assert found, line
        self.url, self.port = found[0], int(found[1])
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            stderr = self._process.communicate(timeout=browser.TIMEOUT_SECONDS)[1]
        finally:
            self._process.kill()
        assert "error" not in stderr


@pytest.fixture(scope="module")
def chromium():
    with Browser() as chromium:
        yield chromium


@pytest.fixture
def tab(chromium):
    """The browser's tab, which must have no problem at the end of the test."""
    chromium.problems.clear()
    yield chromium
    chromium.call("Page.navigate", url="about:blank")
    assert not chromium.problems


@pytest.fixture(scope="module")
def service():
    with EdgeService("web:0,image,fps=10") as service:
        yield service


@contextmanager
def service_for(tab: Browser, *arguments: str) -> Iterator[EdgeService]:
    """Run a service of its own, whose page the tab leaves before it ends: the browser reports lost connections."""
    with EdgeService(*arguments) as service:
        yield service
        tab.call("Page.navigate", url="about:blank")


def open_photo_tab(tab: Browser, url: str) -> None:
    tab.open(url)
    tab.wait_for(visible("#tab-photo"))
    tab.evaluate("document.getElementById('tab-photo').click()")


def test_page_shows_each_change_of_the_synthetic_camera(tab, service):
    tab.open(service.url)
    tab.wait_for(f"{visible('#status')} === 'live' && {HAS_FACE}")
    first = tab.evaluate(visible("#faces .emotion span"))
    tab.wait_for(
        f"[{visible('#faces .emotion span')}].every(word => word && word !== {first!r} && word !== 'uncertain')"
    )
    percents = tab.evaluate("[...document.querySelectorAll('#faces dd:not(.track)')].map(e => parseInt(e.innerText))")
    assert len(percents) == 7
    assert 97 <= sum(percents) <= 103
    width = tab.evaluate("document.querySelector('#faces .strongest + .track .fill').style.width")
    assert float(width.rstrip("%")) >= max(percents) - 2


def test_timeline_and_health_show_the_run(tab, service):
    tab.open(service.url)
    tab.wait_for("document.getElementById('timeline-summary').textContent.startsWith('Faces for')")
    assert len(tab.evaluate("[...document.querySelectorAll('#legend li')].map(e => e.innerText)")) == 7
    colors = tab.evaluate(
        """(() => {
            const canvas = document.getElementById("timeline");
            const column = canvas.getContext("2d").getImageData(canvas.width - 4, 8, 1, canvas.height / 2).data;
            const found = new Set();
            for (let at = 0; at < column.length; at += 4) found.add(column.slice(at, at + 3).join());
            return found.size;
        })()"""
    )
    assert colors > 1
    tab.wait_for("/Processed\\s+[1-9]\\d*(\\.\\d)? frames/.test(document.getElementById('health').innerText)")
    health = tab.evaluate("document.getElementById('health').innerText")
    for name in ("Camera", "Skipped", "Latency", "Memory", "Uptime", "Model", "Version"):
        assert name in health


def test_camera_image_is_shown_with_the_option(tab, service):
    tab.open(service.url)
    assert tab.wait_for("document.getElementById('camera').naturalWidth") == 640
    assert tab.evaluate("document.getElementById('image').checkVisibility()")


def test_camera_image_is_not_requested_without_the_option(tab):
    with service_for(tab) as service:
        tab.open(service.url)
        tab.wait_for(HAS_FACE)
        assert tab.evaluate("document.getElementById('camera').getAttribute('src')") is None
        assert not tab.evaluate("document.getElementById('image').checkVisibility()")


def test_photo_is_analyzed_and_its_face_drawn(tab, service, portrait, tmp_path):
    path = tmp_path / "portrait.jpg"
    assert cv2.imwrite(str(path), portrait)
    open_photo_tab(tab, service.url)
    tab.choose_file("#file", path)
    tab.wait_for(f"document.getElementById('message').innerText === 'One face.' && {visible('#photo-faces .emotion')}")
    assert tab.evaluate(visible("#photo-faces .emotion span")) == "happy"
    content = tab.evaluate("document.getElementById('photo').toDataURL().split(',')[1]")
    canvas = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    assert canvas is not None
    drawn = (np.abs(canvas.astype(int) - portrait).max(axis=2) > 80).astype(np.uint8)
    assert Box(*cv2.boundingRect(drawn)).iou(PORTRAIT_FACE) > 0.5


def test_file_that_is_no_photo_gives_a_message(tab, service, tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("no photo")
    open_photo_tab(tab, service.url)
    tab.choose_file("#file", path)
    assert "cannot open" in tab.wait_for(visible(".message.bad"))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_phone_page_needs_no_horizontal_scrolling(tab, width):
    with service_for(tab, "web:0,image", "synthetic:faces=8") as service:
        tab.open(service.url, width, 800, phone=True)
        tab.wait_for("document.querySelectorAll('#faces .face').length > 4")
        assert tab.evaluate("innerWidth") == width
        scroll, client = tab.evaluate(WIDTHS)
        assert scroll <= client
        tab.evaluate("document.getElementById('tab-photo').click()")
        scroll, client = tab.evaluate(WIDTHS)
        assert scroll <= client
        buttons = "[...document.querySelectorAll('button, .button')].filter(e => e.checkVisibility())"
        heights = tab.evaluate(f"{buttons}.map(e => e.offsetHeight)")
        assert heights
        assert min(heights) >= 40, "large enough for a finger"


def test_visitor_logs_in_and_out_with_the_token(tab, token_file):
    with service_for(tab, f"web:0,token-file={token_file}") as service:
        tab.open(service.url)
        assert tab.wait_for(visible("label[for=token]"))
        assert tab.evaluate(visible("#wrong")) is None
        log_in(tab, "wrong")
        assert "Wrong token" in tab.wait_for(visible("#wrong"))
        log_in(tab, TOKEN)
        tab.wait_for(f"location.pathname === '/' && {HAS_FACE}")
        assert tab.evaluate("document.cookie") == "", "no script can read the cookie"
        tab.wait_for(visible("#logout button"))
        tab.evaluate("document.querySelector('#logout button').click()")
        tab.wait_for(visible("label[for=token]"))
        tab.open(service.url)
        tab.wait_for(visible("label[for=token]"))


def test_logout_elsewhere_leads_to_the_login(tab, token_file):
    with service_for(tab, f"web:0,token-file={token_file}") as service:
        tab.open(service.url)
        tab.wait_for(visible("label[for=token]"))
        log_in(tab, TOKEN)
        tab.wait_for(f"location.pathname === '/' && {HAS_FACE}")
        logout = Request(f"{service.url}logout", b"", {"Authorization": f"Bearer {TOKEN}"})
        with urlopen(logout) as response:
            assert response.url == f"{service.url}login"
        tab.wait_for("location.pathname === '/login' && document.readyState === 'complete'")  # with its images
    tab.problems.clear()  # the browser reports the response 401


def test_logout_button_is_hidden_without_a_token(tab, service):
    tab.open(service.url)
    tab.wait_for(HAS_FACE)
    assert tab.evaluate(visible("#logout button")) is None


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


def log_in(tab: Browser, token: str) -> None:
    tab.evaluate(f"document.getElementById('token').value = {token!r}")
    tab.evaluate("document.querySelector('form button').click()")


def test_page_reconnects_when_the_device_is_back(tab):
    with EdgeService() as service:
        tab.open(service.url)
        tab.wait_for(f"{visible('#status')} === 'live'")
        port = service.port
    tab.wait_for(f"{visible('#status')} === 'no connection'")
    with service_for(tab, f"web:{port}"):
        tab.wait_for(f"{visible('#status')} === 'live' && {HAS_FACE}")
    tab.problems.clear()  # the browser reports the connection that was lost in between


def test_tabs_are_operated_by_keyboard(tab, service):
    tab.open(service.url)
    tab.wait_for(visible("#tab-photo"))
    tab.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "tab-live"
    tab.press("ArrowRight")
    assert tab.evaluate("document.activeElement.id") == "tab-photo"
    assert tab.wait_for(visible("#photo-title"))
    assert tab.evaluate(visible("#faces-title")) is None
    tab.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "file"


def test_every_control_and_image_has_an_accessible_name(tab, service, portrait_file):
    tab.open(service.url)
    tab.wait_for(f"{HAS_FACE} && document.getElementById('camera').naturalWidth")
    assert len(accessible_names(tab)) >= 4
    tab.evaluate("document.getElementById('tab-photo').click()")
    tab.choose_file("#file", portrait_file)
    tab.wait_for(visible("#photo-faces .emotion"))
    assert len(accessible_names(tab)) >= 4


def accessible_names(tab: Browser) -> list[str]:
    """Return the names of all controls, images and panels, each of which must have one."""
    roles = ("button", "tab", "tabpanel", "region", "image", "img", "textbox", "link", "Canvas")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    named = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert all(node["name"]["value"] for node in named), named
    return [node["name"]["value"] for node in named]


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_enough_contrast_in_both_color_schemes(tab, service, dark):
    tab.open(service.url, dark=dark)
    for text in ("--text", "--muted", "--good", "--bad", "--accent"):
        for background in ("--card", "--background"):
            assert tab.evaluate(f"{CONTRAST}({text!r}, {background!r})") >= 4.5, (text, background)
    assert tab.evaluate(f"{CONTRAST}('--on-accent', '--accent')") >= 4.5
    assert (tab.evaluate("getComputedStyle(document.body).color") == "rgb(22, 27, 38)") is not dark
