"""A web server on this machine that stands for a mirror, and may misbehave."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers one request, given the bytes of the file that was asked for."""

WEB_PAGE = b"<!DOCTYPE html>\n<html><body>Please log in to use this network.</body></html>"


class Mirror(ThreadingHTTPServer):
    """Serves files at ``url``, in the way that ``answer`` does it, and notes the requests."""

    def __init__(self, files: dict[str, bytes], answer: Answer) -> None:
        self.files = files
        self.answer = answer
        self.requests: list[str] = []
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/mnist/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when the client has gone away: that is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.server.requests.append(name)
        self.server.answer(self, self.server.files[name])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve(files: dict[str, bytes], answer: Answer) -> Iterator[Mirror]:
    """Run a mirror as long as the context lasts."""
    with Mirror(files, answer) as mirror:
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.ended.set()
            mirror.shutdown()
            thread.join()


def _send(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    status: int = 200,
    length: int | None = None,
    **headers: str,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def good(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, body)


def not_found(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, b"", status=404)


def forbidden(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, WEB_PAGE, status=403)


def server_error(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, b"", status=500)


def web_page(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, WEB_PAGE)


def nothing(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, b"")


def flipped_bit(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """A file of the right length, and right for gzip, with one bit of a value changed."""
    values = bytearray(gzip.decompress(body))
    values[-1] ^= 1
    _send(handler, gzip.compress(values))


def damaged_gzip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    middle = len(body) // 2
    _send(handler, body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :])


def cut_short(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Half of the file, as if that were all."""
    _send(handler, body[: len(body) // 2])


def cut_off(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Half of the file, then the connection is closed."""
    _send(handler, body[: len(body) // 2], length=len(body))


def cut_at(share: float) -> Answer:
    """The connection is closed after this share of the file."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        _send(handler, body[: int(len(body) * share)], length=len(body))

    return answer


def slow(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """The whole file, in 20 pieces with a pause after each."""
    assert isinstance(handler.server, Mirror)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    step = len(body) // 20 + 1
    for start in range(0, len(body), step):
        handler.wfile.write(body[start : start + step])
        if handler.server.ended.wait(0.01):
            return


def hung_up(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """No answer at all."""
    handler.close_connection = True


def not_http(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.wfile.write(b"\x00\x01\x02 what is this?\r\n\r\n")


def endless(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """More and more bytes, until the client goes away."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


def dripping(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """A byte now and then, until the client or the server goes away."""
    assert isinstance(handler.server, Mirror)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for byte in body:
        handler.wfile.write(bytes([byte]))
        if handler.server.ended.wait(0.05):
            return


def dripping_header(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    assert isinstance(handler.server, Mirror)
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b"x")


def silent(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """The head of an answer, and then nothing more."""
    assert isinstance(handler.server, Mirror)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.server.ended.wait()


def redirected_for_ever(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, b"", status=302, Location=handler.path)


def redirected_to_a_file(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    _send(handler, b"", status=302, Location="file:///etc/hostname")


def unpacked_on_the_way(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """The gzip file declared as an encoding of the transfer: the client unpacks it."""
    _send(handler, body, Content_Encoding="gzip")


def redirected_to(url: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        _send(handler, b"", status=302, Location=url + handler.path.rsplit("/", 1)[-1])

    return answer


def first_times(bad: Answer, times: int) -> Answer:
    """Misbehave for some requests, then be good."""
    left = [times]

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        left[0] -= 1
        (bad if left[0] >= 0 else good)(handler, body)

    return answer
