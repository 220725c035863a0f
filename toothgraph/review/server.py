"""The local web server of a review, for one person at one machine.

It listens on 127.0.0.1 only. Each address begins with a random token, so that other programs and pages cannot guess it.
The ``Host`` must be this machine, and requests that change labels must come from the server's own page. Scans are found
by name in a list, never by a path.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from toothgraph.errors import ConfigError, OperationError, ToothgraphError
from toothgraph.io.review_log import Session
from toothgraph.review.page import labels_data, list_page, scan_page, teeth_of
from toothgraph.review.scans import Opened, Scans, reason_of
from toothgraph.review.session import Step
from toothgraph.review.store import Stale

_log = logging.getLogger("toothgraph")
MOST = 64 << 20  # bytes of a request
PATIENCE = 10.0  # seconds that running work has to finish when the review ends
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the token stays here
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class ReviewServer(ThreadingHTTPServer):
    """The web server of a review.

    Args:
        scans: the scans to review.
        port: the port; 0 takes a free one.

    Raises:
        ConfigError: if no server can listen at this port.
    """

    daemon_threads = True

    def __init__(self, scans: Scans, port: int = 0) -> None:
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"port {port}: the page cannot be served there ({error.strerror}); choose another --port, or leave it "
                "out for a free one"
            ) from error
        self._lock = threading.Lock()
        self._beside: list[threading.Thread] = []
        self._answering: list[threading.Thread] = []
        self.scans, self.token = scans, secrets.token_urlsafe(24)
        own = self.server_address[1]
        self.hosts = {f"127.0.0.1:{own}", f"localhost:{own}"}

    @property
    def address(self) -> str:
        """The address of the list of scans."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}/"

    def run(self) -> None:
        """Serve until :meth:`shutdown`, and prepare scans in the background."""
        self.beside(self.scans.work)
        try:
            self.serve_forever(poll_interval=0.2)
        finally:
            self.scans.end()
            self.server_close()
            until = time.monotonic() + PATIENCE
            for thread in self._beside:
                thread.join(max(0.0, until - time.monotonic()))

    def beside(self, work: Callable[[], object]) -> None:
        """Do work in its own thread. When :meth:`run` ends, it waits at most ``PATIENCE`` seconds for such threads."""
        thread = threading.Thread(target=work, daemon=True)
        with self._lock:  # windows ask at the same time
            self._beside = [other for other in self._beside if other.is_alive()]
            thread.start()
            self._beside.append(thread)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a request in its own thread.

        The thread may wait long for the next request of the same window.
        """
        self._answering = [thread for thread in self._answering if thread.is_alive()]
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        thread.start()
        self._answering.append(thread)

    @property
    def at_work(self) -> bool:
        """Whether any thread of this server has not ended."""
        return any(thread.is_alive() for thread in (*self._beside, *self._answering))


class _Refused(Exception):
    """Raised for a request that is refused."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "toothgraph", ""
    timeout = 60  # seconds without a word
    _begun = False  # whether the answer to the current request has begun

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # the name is the base class's
        del format, args

    # ---- what is answered
    def _get(self, place: list[str]) -> None:
        scans = self.server.scans
        if not place:  # without the last slash, the page would ask for its data at another place
            self._send(HTTPStatus.PERMANENT_REDIRECT, "text/plain", b"", {"Location": f"/{self.server.token}/"})
        elif place == [""]:
            self._page(list_page())
        elif place == ["scans"]:
            self._json({"scans": scans.listed()})
        elif len(place) == 2 and place[0] in ("scan", "patient"):
            names = self._names(place)
            shown = [(name, scans.open(name)) for name in names]
            self._page(scan_page(shown, self._next(names)))
            for _, scan in shown:  # while the person looks
                self.server.beside(scan.surface.prepare)
        elif len(place) == 2 and place[0] == "labels":
            opened = scans.open(self._name(place[1]))
            self._json(_whole(opened))
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _post(self, place: list[str]) -> None:
        if len(place) != 2 or place[0] != "step":
            raise _Refused(HTTPStatus.NOT_FOUND, "no such page")
        name, asked = self._name(place[1]), self._body()
        version, step = asked.get("version"), asked.get("step")
        if type(version) is not int or not isinstance(step, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "expected {version, step}")
        try:
            done = self.server.scans.step(name, version, step)
        except Stale as error:
            opened = self.server.scans.open(name)
            self._json({"error": str(error), **_whole(opened)}, HTTPStatus.CONFLICT)
            return
        self._json(_done(self.server.scans.open(name), done))

    def _names(self, place: list[str]) -> list[str]:
        if place[0] == "scan":
            return [self._name(place[1])]
        names = [name for name, known in self.server.scans.known.items() if known.patient == place[1]]
        if not names:
            raise _Refused(HTTPStatus.NOT_FOUND, "no such patient")
        return names

    def _name(self, text: str) -> str:
        if text not in self.server.scans.known:
            raise _Refused(HTTPStatus.NOT_FOUND, "no such scan")
        return text

    def _next(self, names: list[str]) -> str:
        """The name of the most doubtful other scan that is not approved; empty if there is none."""
        rows = self.server.scans.listed()
        return next((row["name"] for row in rows if row["name"] not in names and row["state"] != "approved"
                     and not row["error"]), "")  # fmt: skip

    # ---- who may ask, and how
    def _answered(self, answer: Any) -> None:
        self._begun = False
        try:
            answer(self._place())
        except _Refused as error:
            self.close_connection = True
            self._json({"error": str(error)}, error.status)
        except OperationError as error:
            self._json({"error": error.parts}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except ToothgraphError as error:
            self._json({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):  # the browser has gone
            self.close_connection = True
        except OSError as error:  # a full disk, a folder not to be written to, a file that is not there any more
            _log.error("%s", error)
            undone = "saved" if self.command == "POST" else "read"
            self._json({"error": f"not {undone}: {error.strerror or error}"}, HTTPStatus.INTERNAL_SERVER_ERROR)
        except Exception as error:
            _log.error("%s", reason := reason_of(error))
            self.close_connection = True
            if not self._begun:  # a second answer would be taken for the answer to the next request
                self._json({"error": reason}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _place(self) -> list[str]:
        """Check who asks and how; return the parts of the address after the token."""
        if self.headers.get("Host", "") not in self.server.hosts:
            raise _Refused(HTTPStatus.FORBIDDEN, "this server is for its own machine")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise _Refused(HTTPStatus.FORBIDDEN, "another page may not ask")
        token, *place = urlsplit(self.path).path.removeprefix("/").split("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "open the address that `toothgraph review` has printed")
        if self.command == "POST":
            origin = self.headers.get("Origin", "")
            if origin and origin.removeprefix("http://") not in self.server.hosts:
                raise _Refused(HTTPStatus.FORBIDDEN, "another page may not change labels")
            if self.headers.get_content_type() != "application/json":
                raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected JSON")
        return [unquote(part) for part in place]

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,12}", length) or int(length) > MOST:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST} bytes")
        try:
            content = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "expected JSON") from error
        if not isinstance(content, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "expected a JSON object")
        return content

    # ---- how it is sent
    def _page(self, page: str) -> None:
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.encode("utf-8"))

    def _json(self, content: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, "application/json", json.dumps(content).encode("utf-8"))

    def _send(self, status: HTTPStatus, kind: str, content: bytes, more: Mapping[str, str] | None = None) -> None:
        self._begun = True
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **HEADERS,
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _whole(opened: Opened) -> dict[str, Any]:
    """All labels of a scan, for a page that shows older labels."""
    return {**_stands(opened, opened.session), "labels": labels_data(opened.session.labels)}


def _done(opened: Opened, done: Step) -> dict[str, Any]:
    """The faces that a step has changed, with their new labels."""
    after = labels_data(done.change.after)
    return {**_stands(opened, done.after), "changed": done.change.faces.tolist(), "to": after}


def _stands(opened: Opened, session: Session) -> dict[str, Any]:
    return {"version": session.version, "state": session.state, "undo": len(session.done),
            "redo": len(session.undone), "teeth": teeth_of(opened, session.labels),
            "doubts": [doubt.flat for doubt in opened.known.doubts]}  # fmt: skip
