"""A headless Chromium, driven over its debugging pipe: for tests and benchmarks of pages."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--mute-audio", "--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe",
)  # fmt: skip


class PageError(RuntimeError):
    """What the page's own script threw."""


@dataclass
class Browser:
    """One tab. What it reports on the way is kept: console lines, uncaught errors, requests."""

    process: subprocess.Popen[bytes]
    to_browser: int
    from_browser: int
    session: str = ""
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _left: bytes = b""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _loaded: bool = False

    def call(self, method: str, timeout_s: float = 60, **params: Any) -> dict[str, Any]:
        """Ask the browser and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(timeout_s)
            if answer.get("id") == number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self._note(answer)

    def _read(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while b"\0" not in self._left:
            ready, _, _ = select.select([self.from_browser], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self.from_browser, 1 << 16) if ready else b""
            if not chunk:
                raise TimeoutError(f"the browser said nothing for {timeout_s} s")
            self._left += chunk
        message, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                thrown = details.get("exception", {}).get("description", details["text"])
                self.complaints.append(f"thrown: {thrown}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                words = [str(a.get("value", a.get("description"))) for a in params["args"]]
                self.complaints.append(f"{params['type']}: {' '.join(words)}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"log: {params['entry']['text']}")
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith("data:"):
                    self.requests.append(url)

    def shape(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Set the window's size and the system's colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path, anchor: str = "") -> float:
        """Open a file; seconds until its load event, and until two frames were painted after it."""
        self.call("Page.navigate", url="about:blank")  # the same file again is a load, too
        self.run("1")
        self._loaded = False
        began = time.monotonic()
        self.call("Page.navigate", url=path.resolve().as_uri() + anchor)
        while not self._loaded:
            self._note(self._read(60))
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        return time.monotonic() - began

    def run(self, expression: str, timeout_s: float = 60) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", timeout_s,
            expression=expression, awaitPromise=True, returnByValue=True, userGesture=True,
        )  # fmt: skip
        if "exceptionDetails" in found:
            raise PageError(found["exceptionDetails"]["exception"].get("description", "thrown"))
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, as a person would."""
        text = {"Enter": "\r", " ": " "}.get(key)
        codes = {"Enter": 13, "Escape": 27, " ": 32, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38,
                 "ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36}  # fmt: skip
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        down = {**event, "type": "keyDown", **({"text": text} if text else {})}
        self.call("Input.dispatchKeyEvent", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def image(self, path: Path, selector: str | None = None) -> None:
        """Keep what is to be seen, or one element as it is, as PNG."""
        options: dict[str, Any] = {}
        if selector is not None:
            box = self.run(
                f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect();"
                " return {x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height};"
                "})()"
            )
            options = {"clip": {**box, "scale": 1}, "captureBeyondViewport": True}
        found = self.call("Page.captureScreenshot", format="png", **options)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A fresh browser whose profile lies in `folder`; it ends with the block."""
    assert CHROMIUM is not None, "no chromium on the path"
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()

    def take_ends() -> None:
        """The browser wants its ends at 3 and 4, wherever the pipes happened to be opened."""
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (in_read, out_write)]
        for end, wanted in zip(ends, (3, 4), strict=True):
            os.dup2(end, wanted)

    process = subprocess.Popen(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'profile'}"], preexec_fn=take_ends,
        pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(in_read)
    os.close(out_write)
    tab = Browser(process, in_write, out_read)
    try:
        target = tab.call("Target.createTarget", url="about:blank")["targetId"]
        tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        yield tab
    finally:
        process.kill()
        process.wait()
        os.close(in_write)
        os.close(out_read)
