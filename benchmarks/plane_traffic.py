"""What travels between a page in Chromium and its server, in bytes, by what it is for."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any

from playwright.sync_api import CDPSession

#: What the web socket's messages would take as they are: not added to what travels.
BEFORE = "web socket before compression"


class Traffic:
    """Bytes that travel, both ways, by what they are for."""

    def __init__(self, session: CDPSession) -> None:
        self.bytes: dict[str, float] = {}
        self.urls: dict[str, str] = {}
        self.deflaters: dict[tuple[str, bool], Any] = {}  # of each web socket and direction
        session.send("Network.enable")
        for name, take in {
            "requestWillBeSent": self.asked,
            "loadingFinished": self.finished,
            "webSocketHandshakeResponseReceived": self.agreed,
            "webSocketFrameSent": lambda event: self.framed(event, sent=True),
            "webSocketFrameReceived": lambda event: self.framed(event, sent=False),
        }.items():
            session.on(f"Network.{name}", take)

    def add(self, kind: str, n: float) -> None:
        self.bytes[kind] = self.bytes.get(kind, 0) + n

    def asked(self, event: dict) -> None:
        """A request: its line and headers, as they would be written; data: URLs do not travel."""
        url, headers = event["request"]["url"], event["request"]["headers"]
        if url.startswith("http"):
            self.urls[event["requestId"]] = url
            self.add(kind_of(url), len(url) + sum(len(k) + len(v) + 4 for k, v in headers.items()))

    def finished(self, event: dict) -> None:
        """A response with its headers, as it travelled."""
        if url := self.urls.get(event["requestId"]):
            self.add(kind_of(url), event["encodedDataLength"])

    def agreed(self, event: dict) -> None:
        """Whether the messages of a web socket are compressed, and with how large a window."""
        said = str(event["response"]["headers"])
        if "permessage-deflate" in said:
            for sent, side in ((True, "client"), (False, "server")):
                bits = re.search(rf"{side}_max_window_bits=(\d+)", said)
                window = -int(bits[1]) if bits else -15
                self.deflaters[event["requestId"], sent] = zlib.compressobj(6, wbits=window)

    def framed(self, event: dict, *, sent: bool) -> None:
        """A message of the web socket: the browser tells it as it was before compression, so it is
        compressed again as both sides have agreed; and 2 to 8 bytes that frame it."""
        frame = event["response"]
        text = frame["payloadData"]
        data = base64.b64decode(text) if frame["opcode"] == 2 else text.encode()
        self.add(BEFORE, len(data))
        if deflater := self.deflaters.get((event["requestId"], sent)):
            data = (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        self.add("web socket", len(data) + (4 if sent else 0) + (4 if len(data) > 125 else 2))

    def take(self) -> dict[str, float]:
        """What travelled since the last time."""
        taken, self.bytes = self.bytes, {}
        return taken


def kind_of(url: str) -> str:
    """Whose a request is: one of our routes, or Streamlit's own."""
    path = url.partition("?")[0]
    return path.rpartition("/")[2] if "/api/" in path else "Streamlit"
