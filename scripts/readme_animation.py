"""Record docs/example.webp, the animation of the README: `.venv-test/bin/python -m scripts.readme_animation`

It shows the page of `edge run synthetic:faces=2 --sink web:8080,image` in headless Chromium, in real time: the image of
the synthetic camera on the left, the results on the right. Needs Pillow and Chromium (sudo apt install chromium). On a
busy machine there are fewer images than --fps asks for: repeat it.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from edge.system.atomic_file import atomic_write
from tests.support.browser import PROGRAM, Browser

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 960, 700  # pixels of the browser's window: wide enough for two columns, both faces' bars inside
HISTORY_SECONDS = 20.0  # before the recording: the page has a timeline then
QUALITY = 70  # of WebP, 0 to 100
READY = "document.querySelectorAll('#faces .face').length > 1 && document.getElementById('camera').naturalWidth > 0"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.readme_animation", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "example.webp")
    parser.add_argument("--history", type=float, default=HISTORY_SECONDS, help="seconds before the recording")
    parser.add_argument("--seconds", type=float, default=12.0, help="to record")
    parser.add_argument("--fps", type=float, default=6.0, help="images per second")
    options = parser.parse_args(arguments)
    if PROGRAM is None:
        sys.exit("readme_animation: no browser found: sudo apt install chromium")
    with running_page() as url, Browser() as browser:
        browser.open(url, WIDTH, HEIGHT)
        browser.call("Emulation.setScrollbarsHidden", hidden=True)
        browser.wait_for(READY)
        time.sleep(options.history)
        browser.wait_for(READY)
        images, milliseconds = record(browser, options.seconds, options.fps)
    content = animation(images, milliseconds)
    atomic_write(options.out, content)
    print(f"{options.out}: {len(images)} images, {sum(milliseconds) / 1000:.1f} s, {len(content) / 1e6:.2f} MB")


@contextmanager
def running_page() -> Iterator[str]:
    """Yield the address of the page of a run of the synthetic camera, which ends after the block."""
    command = [str(Path(sys.executable).with_name("edge")), "run", "synthetic:faces=2", "--sink", "web:0,image,fps=6"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            address = re.search(r"http://\S+/", line)
            if address is None:
                sys.exit(f"readme_animation: no page: {line}")
            yield address[0]
        finally:
            process.terminate()


def record(browser: Browser, seconds: float, fps: float) -> tuple[list[Image.Image], list[int]]:
    """Return images of the browser's window in the next `seconds`, and how many milliseconds each was shown."""
    images, starts = list[Image.Image](), list[float]()
    begin = time.monotonic()
    while (start := time.monotonic()) < begin + seconds:
        screenshot = base64.b64decode(browser.call("Page.captureScreenshot", optimizeForSpeed=True)["data"])
        images.append(Image.open(io.BytesIO(screenshot)).convert("RGB"))
        starts.append(start)
        time.sleep(max(0.0, start + 1 / fps - time.monotonic()))
    ends = [*starts[1:], time.monotonic()]
    return images, [round(1000 * (end - start)) for start, end in zip(starts, ends, strict=True)]


def animation(images: Sequence[Image.Image], milliseconds: Sequence[int]) -> bytes:
    """Return `images` as an animated WebP file that repeats forever; each is shown for its `milliseconds`."""
    content = io.BytesIO()
    images[0].save(
        content,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=list(milliseconds),
        loop=0,
        quality=QUALITY,
        method=6,
    )
    return content.getvalue()


if __name__ == "__main__":
    main()
