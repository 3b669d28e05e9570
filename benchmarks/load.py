"""Load on a server of its own on loopback: throughput and latency at 1, 8 and 32 clients.

    python -m benchmarks.load                   2,000 requests for each number of clients
    python -m benchmarks.load --soak 20000      memory over 20,000 requests
    python -m benchmarks.load --restart         replace the workers under load; no request is lost
    python -m benchmarks.load --batching        what batches gain: one server with and one without

The ratio compares with the bare engine on the same pictures, one thread after the other in the same
run. Clients are processes that send prepared requests over kept connections, so that they take
little of the processors that the server needs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import cv2
from skimage.data import astronaut

import fastfer
from fastfer.cli.arguments import CommandParser
from fastfer.io.encoded_image import EncodedImage

PATH = "/v1/analyze?landmarks=false"


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--requests", type=int, default=2000, help="for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, help="of each network, in the server and without")
    parser.add_argument("--size", type=int, nargs=2, default=[640, 480], metavar=("W", "H"))
    parser.add_argument("--batch-wait-ms", type=float, default=2.0)
    parser.add_argument("--soak", type=int, metavar="N", help="requests; reports memory only")
    parser.add_argument("--restart", action="store_true", help="SIGHUP under load")
    parser.add_argument(
        "--batching", action="store_true", help="compare with a server that batches nothing"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of --batching")
    args = parser.parse_args()

    picture = photo(*args.size)
    options = ["--workers", str(args.workers), "--batch-wait-ms", str(args.batch_wait_ms)]
    if args.threads:
        options += ["--threads", str(args.threads)]
    with ExitStack() as servers:
        process, port = servers.enter_context(server(options))
        if args.batching:
            alone = [*options, "--batch", "1", "--batch-wait-ms", "0"]
            at_once = [*options, "--batch-wait-ms", "0"]
            batching(
                {
                    "window": (process, port),
                    "no window": servers.enter_context(server(at_once)),
                    "no batches": servers.enter_context(server(alone)),
                },
                picture,
                args,
            )
        elif args.soak:
            soak(process.pid, port, picture, args.soak)
        elif args.restart:
            restart(process, port, picture, args.requests)
        else:
            compare(process.pid, port, picture, args)


def photo(width: int, height: int) -> bytes:
    """A JPEG with one face."""
    side = min(width, height)
    frame = cv2.resize(astronaut()[:, :, ::-1], (side, side))  # type: ignore[no-untyped-call]
    left = (width - side) // 2
    frame = cv2.copyMakeBorder(
        frame, 0, height - side, left, width - side - left, cv2.BORDER_REFLECT
    )
    data: bytes = cv2.imencode(".jpg", frame)[1].tobytes()
    return data


def compare(pid: int, port: int, picture: bytes, args: argparse.Namespace) -> None:
    """Print throughput and latency, and the ratio to the bare engine."""
    engine = fastfer.Engine(threads=args.threads)
    many = args.requests
    bare = bare_rate(engine, picture, many // 4)
    print(f"bare engine, one picture after the other: {bare:.0f} pictures/s")
    for clients in args.clients:
        used = processor_seconds(pid)
        times, failed, seconds = load(port, picture, clients, many)
        used = processor_seconds(pid) - used
        own = time.process_time()
        cuts = quantiles(times, n=100)
        again = bare_rate(engine, picture, many // 4)  # The machine may have become slower.
        own = (time.process_time() - own) / max(1, many // 4 + 1)
        rate = len(times) / seconds
        print(
            f"{clients:3} clients: {rate:6.0f} requests/s, p50 {cuts[49] * 1e3:.1f} ms, "
            f"p95 {cuts[94] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms, {failed} failed; "
            f"ratio to the bare engine {rate / ((bare + again) / 2):.2f}"
        )
        print(
            f"    processor time of a picture: server {used / len(times) * 1e3:.1f} ms, bare "
            f"engine {own * 1e3:.1f} ms, ratio {own * len(times) / used:.2f}",
            flush=True,
        )
        bare = again


def batching(
    servers: dict[str, tuple[subprocess.Popen[str], int]], picture: bytes, args: argparse.Namespace
) -> None:
    """Print the throughput of each server relative to the one without batches: the median of
    rounds in which they take turns, since the machine may become slower or faster meanwhile."""
    last = list(servers)[-1]
    for clients in args.clients:
        rates: dict[str, list[float]] = {name: [] for name in servers}
        spent: dict[str, list[float]] = {name: [] for name in servers}
        for turn in range(args.rounds):
            order = list(servers) if turn % 2 else list(servers)[::-1]
            for name in order:
                process, port = servers[name]
                used = processor_seconds(process.pid)
                times, failed, seconds = load(port, picture, clients, args.requests // args.rounds)
                assert not failed
                rates[name].append(len(times) / seconds)
                used = processor_seconds(process.pid) - used
                spent[name].append(used / len(times) * 1e3)
        print(f"{clients:3} clients:")
        for name in servers:
            gains = [a / b for a, b in zip(rates[name], rates[last], strict=True)]
            print(
                f"    {name:10} {median(rates[name]):6.0f} requests/s, {median(spent[name]):5.2f} "
                f"ms of processor time each; throughput {median(gains):.2f} times that without "
                f"batches ({min(gains):.2f} to {max(gains):.2f})",
                flush=True,
            )


def bare_rate(engine: fastfer.Engine, picture: bytes, count: int) -> float:
    """Pictures per second without a server."""
    engine.analyze(picture)
    start = time.perf_counter()
    for _ in range(count):
        engine.analyze_encoded(EncodedImage(picture))
    return count / (time.perf_counter() - start)


def soak(pid: int, port: int, picture: bytes, total: int) -> None:
    """Print the resident memory of the server while it answers ``total`` requests."""
    step = max(1, total // 10)
    load(port, picture, 8, step)
    first = memory(pid)
    print(f"after {step} requests: {first:.1f} MB")
    for done in range(2 * step, total + 1, step):
        _, failed, _ = load(port, picture, 8, step)
        print(f"after {done} requests: {memory(pid):.1f} MB, {failed} failed", flush=True)
    print(f"growth: {memory(pid) - first:+.1f} MB")


def restart(process: subprocess.Popen[str], port: int, picture: bytes, total: int) -> None:
    """Replace all workers while clients send requests."""
    timer = multiprocessing.get_context("spawn").Process(target=_hang_up, args=(process.pid,))
    timer.start()
    before = children(process.pid)
    times, failed, _ = load(port, picture, 8, total)
    timer.join()
    replaced = before - children(process.pid)
    print(
        f"{len(times)} answers, {failed} failed, {len(replaced)} of {len(before)} workers "
        f"replaced, slowest answer {max(times) * 1e3:.0f} ms"
    )


def _hang_up(pid: int) -> None:
    time.sleep(1)
    os.kill(pid, signal.SIGHUP)


def load(port: int, picture: bytes, clients: int, total: int) -> tuple[list[float], int, float]:
    """Seconds of each request, how many failed, and seconds of the whole."""
    context = multiprocessing.get_context("fork")
    groups = min(clients, 4)
    share = [clients // groups + (i < clients % groups) for i in range(groups)]
    results: Any = context.SimpleQueue()
    processes = [
        context.Process(target=_client, args=(port, picture, n, total * n // clients, results))
        for n in share
    ]
    start = time.perf_counter()
    for process in processes:
        process.start()
    answers = [results.get() for _ in processes]
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return [t for times, _ in answers for t in times], sum(f for _, f in answers), seconds


def _client(port: int, picture: bytes, connections: int, total: int, results: Any) -> None:
    """One process with ``connections`` clients, each with one request at a time."""
    import selectors

    message = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(picture)}\r\n\r\n"
    ).encode() + picture
    selector = selectors.DefaultSelector()
    times: list[float] = []
    sent = failed = 0

    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(connection: socket.socket, tries: int = 0) -> None:
        nonlocal sent
        selector.register(connection, selectors.EVENT_READ, [time.perf_counter(), b"", tries])
        connection.sendall(message)

    def retry(connection: socket.socket, state: list[Any]) -> None:
        """As RFC 9110 asks for when a kept connection is closed before an answer."""
        nonlocal failed
        connection.close()
        if state[2] >= 2 or state[1]:
            failed += 1
            more(connect())
        else:
            send(connect(), state[2] + 1)

    def more(connection: socket.socket) -> None:
        nonlocal sent
        if sent < total:
            sent += 1
            send(connection)
        else:
            connection.close()

    for _ in range(connections):
        more(connect())
    while selector.get_map():
        for key, _ in selector.select():
            connection: Any = key.fileobj
            state = key.data
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                selector.unregister(connection)
                retry(connection, state)
                continue
            state[1] += data
            head, end, body = state[1].partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if not end or length is None or len(body) < int(length[1]):
                continue
            selector.unregister(connection)
            if head.startswith(b"HTTP/1.1 200 ") and json.loads(body)["results"][0]["faces"]:
                times.append(time.perf_counter() - state[0])
            else:
                failed += 1
            if b"connection: close" in head.lower():
                connection.close()
                connection = connect() if sent < total else connection
            more(connection)
    results.put((times, failed))


def processor_seconds(pid: int) -> float:
    """Processor time that a process and its workers have used so far. Unlike the throughput, it
    does not depend on what else the machine does."""
    total = 0
    for process in {pid, *children(pid)}:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    total = 0.0
    for process in {pid, *children(pid)}:
        status = Path(f"/proc/{process}/status").read_text()
        total += int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
    return total


def children(pid: int) -> set[int]:
    """The worker processes of a server."""
    names = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(n) for n in names if b"spawn_main" in Path(f"/proc/{n}/cmdline").read_bytes()}


@contextmanager
def server(options: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``fastfer serve`` on a free port."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastfer", "serve", "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": folder},
        )
        try:
            assert process.stderr is not None
            address = re.search(r"http://[\d.]+:(\d+)", process.stderr.readline())
            assert address is not None
            port = int(address[1])
            workers = int(options[1])
            deadline = time.monotonic() + 60
            while workers > 1 and len(children(process.pid)) < workers:
                time.sleep(0.1)
                assert time.monotonic() < deadline
            load(port, photo(640, 480), 4 * workers, 40 * workers)  # Warm.
            yield process, port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


if __name__ == "__main__":
    main()
