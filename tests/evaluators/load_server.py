"""A tiny server in the way of OpenAI's API, with the faults that a load test has to find; started as a program."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

read = argparse.ArgumentParser()
read.add_argument("--port", type=int, required=True)
read.add_argument("--delay", type=float, default=0.0, help="seconds an answer takes")
read.add_argument("--cached", type=float, help="seconds that one takes that was given before")
read.add_argument("--wrong-above", type=int, help="wrong where more than so many are asked at once")
read.add_argument("--fail-every", type=int, help="every so-manieth request gets a 503")
read.add_argument("--hang-every", type=int, help="and this one no answer at all")
read.add_argument("--cut-every", type=int, help="and this one half an answer")
read.add_argument("--die-after", type=int, help="requests, after which it is gone")
read.add_argument("--late", type=float, default=0.0, help="seconds before it listens")
read.add_argument("--not-ready", action="store_true", help="GET is answered 503 forever")
asked = read.parse_args()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    many = at_once = 0
    known: ClassVar[set[bytes]] = set()
    lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.say(b'{"data": []}', 503 if asked.not_ready else 200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with Server.lock:
            Server.many += 1
            Server.at_once += 1
            number, at_once, before = Server.many, Server.at_once, body in Server.known
            Server.known.add(body)
        if asked.die_after and number > asked.die_after:
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(7)
        time.sleep(asked.cached if before and asked.cached is not None else asked.delay)
        prompt = json.loads(body)["prompt"]
        text = "what?" if asked.wrong_above and at_once > asked.wrong_above else prompt.upper()
        with Server.lock:
            Server.at_once -= 1
        answer = {"id": number, "choices": [{"text": text, "finish_reason": "stop"}]}
        if asked.hang_every and number % asked.hang_every == 0:
            time.sleep(60)
        elif asked.fail_every and number % asked.fail_every == 0:
            self.say(b'{"error": "busy"}', 503)
        else:
            self.say(json.dumps(answer).encode(), cut=bool(asked.cut_every and number % asked.cut_every == 0))

    def say(self, data: bytes, status: int = 200, *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut


time.sleep(asked.late)
print(f"listening at {asked.port}", flush=True)
Server(("127.0.0.1", asked.port), Handler).serve_forever()
