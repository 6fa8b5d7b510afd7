"""The page in a real browser: what a visitor sees, on a desk and on a phone, by day, by night and by keyboard."""

import base64
import re
import signal
import subprocess

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
A_FACE = "document.querySelectorAll('#faces .face').length > 0"
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# WCAG's contrast of two of the page's colors.
CONTRAST = """((one, other) => {
    const light = (name) => {
        const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1);
        const parts = hex.match(/../g).map((two) => parseInt(two, 16) / 255);
        const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const [most, least] = [light(one), light(other)].sort((a, b) => b - a);
    return (most + 0.05) / (least + 0.05);
})"""


class Service:
    """`edge run` with the page. A context manager that leaves no process behind."""

    def __init__(self, sink="web:0", source="synthetic", env=None):
        self._command = [EDGE, "run", source, "-s", sink]
        self._env = env

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, env=self._env)
        assert self._process.stderr
        line = self._process.stderr.readline()
        found = re.search(r"http://[^/]+:(\d+)/", line)
        assert found, line
        self.url, self.port = found[0], int(found[1])
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        try:
            said = self._process.communicate(timeout=browser.PATIENCE)[1]
        finally:
            self._process.kill()
        assert "error" not in said


@pytest.fixture(scope="module")
def chromium():
    with Browser() as chromium:
        yield chromium


@pytest.fixture
def tab(chromium):
    """The browser's tab, which has nothing to complain of in the end."""
    chromium.trouble.clear()
    yield chromium
    chromium.call("Page.navigate", url="about:blank")
    assert not chromium.trouble


@pytest.fixture(scope="module")
def service():
    with Service("web:0,image,fps=10") as service:
        yield service


def test_the_page_shows_each_change_of_the_synthetic_camera(tab, service):
    tab.open(service.url)
    tab.until(f"{visible('#state')} === 'live' && {A_FACE}")
    first = tab.value(visible("#faces .emotion span"))
    tab.until(f"[{visible('#faces .emotion span')}].every(word => word && word !== {first!r} && word !== 'unsure')")
    shares = tab.value("[...document.querySelectorAll('#faces dd:not(.track)')].map(e => parseInt(e.innerText))")
    assert len(shares) == 7
    assert 97 <= sum(shares) <= 103
    wide = tab.value("document.querySelector('#faces .first + .track .fill').style.width")
    assert float(wide.rstrip("%")) >= max(shares) - 2


def test_the_timeline_and_the_health_show_the_run(tab, service):
    tab.open(service.url)
    tab.until("document.getElementById('timeline-words').textContent.startsWith('Somebody was there')")
    legend = tab.value("[...document.querySelectorAll('#legend li')].map(e => e.innerText)")
    assert len(legend) == 7
    colors = tab.value(
        """(() => {
            const canvas = document.getElementById("timeline");
            const row = canvas.getContext("2d").getImageData(canvas.width - 4, 8, 1, canvas.height / 2).data;
            const found = new Set();
            for (let at = 0; at < row.length; at += 4) found.add(row.slice(at, at + 3).join());
            return found.size;
        })()"""
    )
    assert colors > 1
    tab.until("/Camera\\s+(29|30|31)(\\.\\d)? frames/.test(document.getElementById('health').innerText)")
    health = tab.value("document.getElementById('health').innerText")
    assert "Age at the label" in health
    assert "Running for" in health


def test_the_cameras_image_is_there_when_it_is_on(tab, service):
    tab.open(service.url)
    assert tab.until("document.getElementById('camera').naturalWidth") == 640
    assert tab.value("document.getElementById('image').checkVisibility()")


def test_without_the_switch_the_page_does_not_even_ask_for_a_image(tab):
    with Service() as service:
        tab.open(service.url)
        tab.until(A_FACE)
        assert tab.value("document.getElementById('camera').getAttribute('src')") is None
        assert not tab.value("document.getElementById('image').checkVisibility()")


def test_a_photo_is_read_and_drawn(tab, service, portrait, tmp_path):
    path = tmp_path / "portrait.jpg"
    assert cv2.imwrite(str(path), portrait)
    tab.open(service.url)
    tab.until(visible("#tab-try"))
    tab.value("document.getElementById('tab-try').click()")
    tab.choose_file("#file", path)
    assert tab.until(
        f"document.getElementById('outcome').innerText === 'One face.' && {visible('#photo-faces .emotion')}"
    )
    assert tab.value(visible("#photo-faces .emotion span")) == "happy"
    assert drawn_on(tab, portrait).iou(PORTRAIT_FACE) > 0.5


def drawn_on(tab: Browser, portrait) -> Box:
    """Return where the page's canvas is another image than the photo."""
    content = tab.value("document.getElementById('photo').toDataURL().split(',')[1]")
    canvas = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    assert canvas is not None
    changed = (np.abs(canvas.astype(int) - portrait).max(axis=2) > 80).astype(np.uint8)
    return Box(*cv2.boundingRect(changed))


def test_a_file_that_is_no_photo_is_told_in_words(tab, service, tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("no photo")
    tab.open(service.url)
    tab.until(visible("#tab-try"))
    tab.value("document.getElementById('tab-try').click()")
    tab.choose_file("#file", path)
    assert tab.until(visible(".outcome.bad")) == "This browser cannot open that file as an image."


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_phone_has_to_scroll_sideways(tab, width):
    with Service("web:0,image", "synthetic:faces=8") as service:
        tab.open(service.url, width, 800, phone=True)
        tab.until("document.querySelectorAll('#faces .face').length > 4")
        assert tab.value("innerWidth") == width
        scroll, client = tab.value(WIDTHS)
        assert scroll <= client
        tab.value("document.getElementById('tab-try').click()")
        scroll, client = tab.value(WIDTHS)
        assert scroll <= client
        pressed = "[...document.querySelectorAll('button, .button')].filter(e => e.checkVisibility())"
        sizes = tab.value(f"{pressed}.map(e => e.offsetHeight)")
        assert sizes
        assert min(sizes) >= 40, "a finger finds it"


def test_a_visitor_logs_in_with_the_token_and_out_again(tab, tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    with Service(f"web:0,token-file={path}") as service:
        tab.open(service.url)
        assert tab.until(visible("label[for=token]")) == "Token of this device"
        assert tab.value(visible("#wrong")) is None
        log_in(tab, "wrong")
        assert "not its token" in tab.until(visible("#wrong"))
        log_in(tab, TOKEN)
        tab.until(f"location.pathname === '/' && {A_FACE}")
        assert tab.value("document.cookie") == "", "no script can read it"
        tab.until(visible("#logout button"))
        tab.value("document.querySelector('#logout button').click()")
        tab.until(visible("label[for=token]"))
        tab.open(service.url)
        tab.until(visible("label[for=token]"))


def log_in(tab: Browser, token: str) -> None:
    tab.value(f"document.getElementById('token').value = {token!r}")
    tab.value("document.querySelector('form button').click()")


def test_the_page_says_when_the_device_is_gone_and_goes_on_when_it_is_back(tab):
    with Service() as service:
        tab.open(service.url)
        tab.until(f"{visible('#state')} === 'live'")
        port = service.port
    tab.until(f"{visible('#state')} === 'no connection'")
    with Service(f"web:{port}"):
        tab.until(f"{visible('#state')} === 'live' && {A_FACE}")
    tab.trouble.clear()  # that it was gone is what the browser complained of


def test_tabs_follow_the_keyboard(tab, service):
    tab.open(service.url)
    tab.until(visible("#tab-try"))
    tab.press("Tab")
    assert tab.value("document.activeElement.id") == "tab-live"
    tab.press("ArrowRight")
    assert tab.value("document.activeElement.id") == "tab-try"
    assert tab.until(visible("#try-title"))
    assert tab.value(visible("#faces-title")) is None
    tab.press("Tab")
    assert tab.value("document.activeElement.id") == "file"


def test_whatever_can_be_pressed_or_seen_has_a_name_for_a_reader_of_screens(tab, service, portrait_file):
    tab.open(service.url)
    tab.until(f"{A_FACE} && document.getElementById('camera').naturalWidth")
    assert len(names(tab)) >= 4
    tab.value("document.getElementById('tab-try').click()")
    tab.choose_file("#file", portrait_file)
    tab.until(visible("#photo-faces .emotion"))
    assert len(names(tab)) >= 4


def names(tab: Browser) -> list[str]:
    """Return the names of what can be pressed or seen, all of which have one."""
    kinds = ("button", "tab", "image", "img", "textbox", "link", "Canvas")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    told = [node for node in nodes if not node["ignored"] and node["role"]["value"] in kinds]
    assert all(node["name"]["value"] for node in told), told
    return [node["name"]["value"] for node in told]


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_read_by_day_and_by_night(tab, service, dark):
    tab.open(service.url, dark=dark)
    for ink in ("--ink", "--quiet", "--good", "--bad", "--accent"):
        for ground in ("--card", "--ground"):
            assert tab.value(f"{CONTRAST}({ink!r}, {ground!r})") >= 4.5, (ink, ground)
    assert tab.value(f"{CONTRAST}('--on-accent', '--accent')") >= 4.5
    assert (tab.value("getComputedStyle(document.body).color") == "rgb(22, 27, 38)") is not dark
