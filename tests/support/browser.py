"""A real Chromium without a window, driven by its own DevTools protocol: no driver, no further package."""

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
PATIENCE = 30.0  # seconds to wait for anything: only a failing test waits as long
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
    "--remote-debugging-port=0",  # any that is free
]
TROUBLE = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")


class Browser:
    """One tab of a browser that knows nothing from before. A context manager that leaves no process behind.

    `trouble` is all that its console, its log and its network complained of.
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
            env={**os.environ, "HOME": self._folder.name},
        )
        assert self._process.stderr
        said = ""
        while not (found := re.search(r"DevTools listening on (ws://\S+)", said)):
            line = self._process.stderr.readline()
            assert line, said
            said += line
        self._runner = asyncio.Runner()
        self.trouble: list[str] = []
        self._number, self._events = 0, []
        self._runner.run(self._attach(found[1]))
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._runner.close()
        os.killpg(self._process.pid, 9)
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
        self._folder.cleanup()

    def call(self, method: str, **parameters: Any) -> Any:
        """Return the result of a command of the protocol."""
        return self._runner.run(asyncio.wait_for(self._call(method, parameters), PATIENCE))

    def open(self, url: str, width: int = 1280, height: int = 900, phone: bool = False, dark: bool = False) -> None:
        """Load the page at `url`, on a screen of that size in CSS pixels."""
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
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """Return what the JavaScript `expression` gives, waiting where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until the JavaScript `expression` is true, also over a change of the page, and return what it gives."""
        waiting = f"""new Promise((done) => {{
            const look = () => {{ const found = {expression}; if (found) done(found); else setTimeout(look, 20); }};
            look();
        }})"""
        while True:
            try:
                return self.value(waiting)
            except LookupError:  # the page that was asked has gone
                continue
            except TimeoutError:
                text = self.value("document.body.innerText")
                raise AssertionError(f"never true: {expression}; {self.trouble}; {text}") from None

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose the file at `path` in the form's field."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key: str) -> None:
        """Press a key that has no letter."""
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "ArrowRight": 39, "ArrowLeft": 37}[key]
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def _attach(self, url: str) -> None:
        tabs = await self._connect(url)
        found = await self._on(tabs, "Target.getTargets")
        tab = next(each["targetId"] for each in found["targetInfos"] if each["type"] == "page")
        tabs.close()
        self._socket = await self._connect(re.sub(r"/devtools/.*", f"/devtools/page/{tab}", url))
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            await self._call(f"{domain}.enable", {})

    @staticmethod
    async def _connect(url: str) -> Any:
        return await websocket_connect(HTTPRequest(url), max_message_size=100_000_000)

    async def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        return await self._on(self._socket, method, parameters)

    async def _on(self, way: Any, method: str, parameters: dict[str, Any] | None = None) -> Any:
        self._number += 1
        number = self._number
        await way.write_message(json.dumps({"id": number, "method": method, "params": parameters or {}}))
        while True:
            told = json.loads(await way.read_message())
            if told.get("id") == number:
                if "error" in told:
                    raise LookupError(told["error"]["message"])
                return told["result"]
            self._note(told)

    def _note(self, event: dict[str, Any]) -> None:
        method, about = event.get("method"), event.get("params", {})
        if method not in TROUBLE or about.get("canceled"):
            return
        if method == "Log.entryAdded" and about["entry"]["level"] in ("verbose", "info"):
            return
        if method == "Runtime.consoleAPICalled" and about["type"] not in ("error", "warning", "assert"):
            return
        self.trouble.append(f"{method}: {json.dumps(about)[:500]}")


def visible(selector: str) -> str:
    """Return JavaScript that gives the visible text of the first element of `selector`, null if it is not shown."""
    return (
        f"(e => e && e.checkVisibility() ? e.innerText.trim() : null)(document.querySelector({json.dumps(selector)}))"
    )
