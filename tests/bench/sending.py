"""End-to-end sends per second (plan to recorded) into smtp-sink, against smtp-source in the same run."""

import multiprocessing
import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from flask import Flask

from tests.bench.desk import add_leads, house
from webapp import create_app, schedule
from webapp.audience import segments
from webapp.campaigns import campaigns, dispatch
from webapp.messaging import senders, templates
from webapp.platform import tenancy
from webapp.platform.config import Settings
from webapp.platform.db import one, transaction, value

HTML = (
    "<h1>Hello {{ first_name }}</h1>"
    + "<p>A paragraph about insurance that says something useful. </p>\n" * 40
    + ('<p><a href="https://www.example.com/a">One</a> <a href="https://www.example.com/b">Two</a></p>')
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


@contextmanager
def sink(port: int):
    """A running smtp-sink; it swallows everything."""
    process = subprocess.Popen(
        [tool("smtp-sink"), "-u", "nobody", f"127.0.0.1:{port}", "1000"], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def source_rate(port: int, n: int, size: int, *more: str) -> float:
    """Messages per second of Postfix's own load generator, over as many connections as one process of ours uses."""
    started = time.perf_counter()
    command = [tool("smtp-source"), "-s", str(schedule.SEND_THREADS), "-m", str(n), "-l", str(size), *more,
               "-f", "a@example.com", "-t", "b@example.com", f"127.0.0.1:{port}"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return n / (time.perf_counter() - started)


def prepare(org: int, port: int, name: str) -> int:
    """Makes a campaign for everybody over the sink and launches it. Returns its id."""
    with transaction(org):
        server = {"host": "127.0.0.1", "port": port, "tls": "none"}
        sender = senders.save_smtp(None, {"name": name, "address": "bench@example.com", **server})
        bodies = {"subject_line": "Hi {{ first_name }}", "html_content": HTML}
        template = templates.save(None, {"name": name, **bodies})
        segment = segments.save(None, {"name": name})
        chosen = {"template_id": template.id, "segment_id": segment.id, "sender_id": sender.id}
        campaign = campaigns.save(None, {"name": name, **chosen})
        campaigns.launch(campaign.id)
        return campaign.id


def work(settings: Settings, url: str, org: int, ready: Any, go: Any) -> None:
    """One process of ours: sends until nothing is left."""
    app = create_app(settings, url)

    def slice_(_: int) -> int:
        with app.app_context(), tenancy.scope(org):
            return dispatch.send_for(f"bench-{os.getpid()}", 600, threading.Event())

    ready.release()
    go.wait()
    with ThreadPoolExecutor(schedule.SEND_THREADS) as pool:
        list(pool.map(slice_, range(schedule.SEND_THREADS)))


def our_rate(app: Flask, org: int, port: int, n: int, processes: int) -> float:
    """Sends per second, from the start of planning to the last one recorded."""
    campaign_id = prepare(org, port, f"Bench {processes}")
    spawn = multiprocessing.get_context("spawn")
    ready, go = spawn.Semaphore(0), spawn.Event()
    arguments = (app.config["SETTINGS"], app.config["OWNER_URL"], org, ready, go)
    running = [spawn.Process(target=work, args=arguments) for _ in range(processes)]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    started = time.perf_counter()
    with tenancy.scope(org):
        dispatch.start_due()
    planned = time.perf_counter()
    go.set()
    for process in running:
        process.join()
    with tenancy.scope(org):
        dispatch.settle()
    taken = time.perf_counter() - started
    with transaction(org):
        sent = value("SELECT count(*) FROM sends WHERE campaign_id = :c AND status = 'sent'", c=campaign_id)
        status = one("SELECT status FROM campaigns WHERE id = :c", c=campaign_id).status
    assert (sent, status) == (n, "completed"), (sent, status)
    print(f"    {processes} process(es): plan {planned - started:.2f} s, send {taken - (planned - started):.2f} s")
    return n / taken


def main(n: int = 20_000) -> None:
    if not tool("smtp-sink"):
        print("sending: smtp-sink is not here (Debian's postfix has it): not measured")
        return
    with house() as (app, org):
        add_leads(org, n)
        port = free_port()
        with sink(port):
            # By default it makes a connection for each message; -d keeps its connections, as we do.
            before = source_rate(port, n, 6800)
            ours = {processes: our_rate(app, org, port, n, processes) for processes in (1, 2)}
            reference = (before + source_rate(port, n, 6800)) / 2
            kept = source_rate(port, n, 6800, "-d")
    for processes, rate in ours.items():
        print(f"sending, {processes} process(es): {rate:,.0f}/s end to end; smtp-source {reference:,.0f}/s, ratio"
              f" {rate / reference:.2f} (target 0.5); with its connections kept {kept:,.0f}/s, ratio {rate / kept:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
