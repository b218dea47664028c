"""A reward service on loopback that scores by a simple rule, and fails in all usual ways on request."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def score_of(answer):
    return len(answer) / 8


class Service:
    """The requests it got, and what it does next: one behaviour per request, the last one for all further ones."""

    def __init__(self):
        self.requests, self.plan, self.url = [], ["fine"], ""

    def next(self):
        return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    @property
    def asked(self):
        return [item["answer"] for request in self.requests for item in request["body"]["items"]]


def _scores(items, how):
    rows = [{"id": item["id"], "score": score_of(item["answer"])} for item in items]
    match how:
        case "turned":
            return rows[::-1]
        case "too few":
            return rows[:-1]
        case "strings":
            return [{**row, "score": str(row["score"])} for row in rows]
        case "NaN":
            return [{**row, "score": float("nan")} for row in rows]
        case "huge":
            return [{**row, "score": 10**400} for row in rows]
        case "twice":
            return [*rows, rows[0]]
        case "strangers":
            return [*rows, {"id": "nobody", "score": 1.0}]
        case "numbers alone":
            return [row["score"] for row in rows]
    return rows


DRIPPED_FOR_EVER = {
    "nothing": (b"", b""),
    "a status line": (b"HTTP/1.1 200 ", b"O"),
    "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Wait: 1\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-Wait: ", b"1"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}
"""What a service sends that never finishes: a beginning, and what it repeats."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        service = self.server.service
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service.requests.append({"body": body, "headers": dict(self.headers)})
        how = service.next()
        if isinstance(how, int):
            return self._say(how, b"no", {"Location": "http://127.0.0.1:9/"} if how in (301, 302) else {})
        if isinstance(how, tuple):
            return self._say_pair(*how)
        if how == "hangs up":
            return self.connection.close()
        if how == "garbage":
            return self._say(200, b"<html>busy</html>")
        if how == "no scores":
            return self._say(200, b"[]")
        reply = json.dumps({"scores": _scores(body["items"], how)}).encode()
        if how == "half":
            return self._say(200, reply[: len(reply) // 2], length=len(reply))
        if how == "slow":
            return self._drip(reply)
        if how in DRIPPED_FOR_EVER:
            return self._drip_for_ever(DRIPPED_FOR_EVER[how])
        if how == "sets a cookie":
            return self._say(200, reply, {"Set-Cookie": "session=1"})
        return self._say(200, reply)

    def _say(self, status, body, headers=(), length=None):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _say_pair(self, first, second):
        """The reply of a chat model, or a status with the seconds to wait."""
        if first != "reply":
            return self._say(first, b"", {"Retry-After": second})
        completion = {"choices": [{"message": {"role": "assistant", "content": second}}]}
        return self._say(200, json.dumps(completion).encode())

    def _drip(self, reply):
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        try:
            for byte in reply:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.service.stopping.wait(0.05):
                    return
        except OSError:
            return

    def _drip_for_ever(self, parts):
        """Sends a first part, and then the second again and again."""
        first, again = parts
        try:
            self.wfile.write(first)
            while not self.server.service.stopping.wait(0.02):
                self.wfile.write(again)
        except OSError:
            return

    def log_message(self, *about):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@contextmanager
def serving(port=0):
    """A service for the length of a `with` block."""
    service = Service()
    service.stopping = threading.Event()
    server = _Server(("127.0.0.1", port), _Handler)
    server.service = service
    service.url = f"http://127.0.0.1:{server.server_address[1]}/score"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
