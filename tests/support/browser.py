"""Headless Chromium, driven by the Chrome DevTools Protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TIMEOUT_SECONDS = 30.0  # for anything: only a failing test waits as long
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",  # any free one
]
PROBLEM_EVENTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")


class Browser:
    """One tab of a browser with an empty profile. A context manager that leaves no process behind.

    `problems` are the errors and warnings of its console, log and network.
    """

    def __enter__(self):
        assert PROGRAM
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "HOME": self._folder.name, "TMPDIR": self._folder.name},
        )
        assert self._process.stderr
        output = ""
        while not (found := re.search(r"DevTools listening on (ws://\S+)", output)):
            line = self._process.stderr.readline()
            assert line, output
            output += line
        self._runner = asyncio.Runner()
        self.problems: list[str] = []
        self._last_id = 0
        self._runner.run(self._attach(found[1]))
        return self

    def __exit__(self, *_):
        self._runner.run(asyncio.wait_for(self._disconnect(), TIMEOUT_SECONDS))
        os.killpg(self._process.pid, 9)
        self._process.wait()
        self._runner.close()
        if self._process.stderr:
            self._process.stderr.close()
        self._folder.cleanup()

    def call(self, method: str, **parameters: Any) -> Any:
        """Return the result of the protocol's command `method`."""
        return self._runner.run(asyncio.wait_for(self._send(self._socket, method, parameters), TIMEOUT_SECONDS))

    def open(self, url: str, width: int = 1280, height: int = 900, phone: bool = False, dark: bool = False) -> None:
        """Load the page at `url` on a screen of `width` x `height` CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """Return the value of the JavaScript `expression`, of a promise its result."""
        response = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in response, response
        return response["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until the JavaScript `expression` is true, also across navigations, and return its value."""
        polling = f"""new Promise((resolve) => {{
            const poll = () => {{ const value = {expression}; if (value) resolve(value); else setTimeout(poll, 20); }};
            poll();
        }})"""
        while True:
            try:
                return self.evaluate(polling)
            except LookupError:  # the page has been left
                continue
            except TimeoutError:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"never true: {expression}; {self.problems}; {text}") from None

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose the file at `path` in the file input `selector`."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key: str) -> None:
        """Press Tab, ArrowRight or ArrowLeft."""
        for event in ("keyDown", "keyUp"):
            code = {"Tab": 9, "ArrowRight": 39, "ArrowLeft": 37}[key]
            self.call("Input.dispatchKeyEvent", type=event, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        """Write the complete page as a PNG file."""
        response = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(response["data"]))

    async def _attach(self, url: str) -> None:
        browser = await self._connect(url)
        targets = await self._send(browser, "Target.getTargets", {})
        tab = next(each["targetId"] for each in targets["targetInfos"] if each["type"] == "page")
        browser.close()
        self._socket = await self._connect(re.sub(r"/devtools/.*", f"/devtools/page/{tab}", url))
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            await self._send(self._socket, f"{domain}.enable", {})

    @staticmethod
    async def _connect(url: str) -> Any:
        return await websocket_connect(HTTPRequest(url), max_message_size=100_000_000)

    async def _disconnect(self) -> None:
        """Close the connection and return when the browser has closed it as well, which frees its socket."""
        self._socket.close()
        while await self._socket.read_message() is not None:
            pass

    async def _send(self, connection: Any, method: str, parameters: dict[str, Any]) -> Any:
        """Send a command, keep the problems reported meanwhile, and return the command's result."""
        self._last_id += 1
        request_id = self._last_id
        await connection.write_message(json.dumps({"id": request_id, "method": method, "params": parameters}))
        while True:
            message = json.loads(await connection.read_message())
            if message.get("id") == request_id:
                if "error" in message:
                    raise LookupError(message["error"]["message"])
                return message["result"]
            self._keep_problem(message)

    def _keep_problem(self, event: dict[str, Any]) -> None:
        method, details = event.get("method"), event.get("params", {})
        if method not in PROBLEM_EVENTS or details.get("canceled"):
            return
        if method == "Log.entryAdded" and details["entry"]["level"] in ("verbose", "info"):
            return
        if method == "Runtime.consoleAPICalled" and details["type"] not in ("error", "warning", "assert"):
            return
        self.problems.append(f"{method}: {json.dumps(details)[:500]}")


def visible(selector: str) -> str:
    """Return JavaScript for the text of the first element that matches `selector`, null if it is not visible."""
    return (
        f"(e => e && e.checkVisibility() ? e.innerText.trim() : null)(document.querySelector({json.dumps(selector)}))"
    )
