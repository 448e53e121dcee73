"""End-to-end sends per second (plan to recorded) into smtp-sink, against smtp-source in the same run; without and with a
signature (DKIM), and what a message costs in processor time."""

import importlib.util
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask

from tests.bench.desk import add_leads, house
from tests.messaging.scripted_smtp import Server
from webapp import create_app, schedule
from webapp.audience import segments
from webapp.campaigns import campaigns, dispatch
from webapp.messaging import senders, templates
from webapp.platform import secrets, tenancy
from webapp.platform.config import Settings
from webapp.platform.db import db, one, transaction, value

TARGET = 0.6  # of smtp-source: two processes, no signature
BODY_BYTES = 6800  # about what one of ours weighs
HTML = (
    "<h1>Hello {{ first_name }} from {{ city }}</h1>"
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


@dataclass(frozen=True)
class Measured:
    """rate: messages a second from the start of planning to the last one recorded; sending: from the first claim to it.
    ours, whole: microseconds of processor time a message, of our sending processes and of the machine (PostgreSQL and
    smtp-sink with them). plan: seconds."""

    rate: float
    sending: float
    ours: float
    whole: float
    plan: float


def signs() -> bool:
    """True where senders can sign."""
    return importlib.util.find_spec("dkim") is not None


def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def prepare(org: int, port: int, name: str, signed: bool) -> int:
    """Makes a campaign for everybody over the sink and launches it. Returns its id."""
    with transaction(org):
        server = {"host": "127.0.0.1", "port": port, "tls": "none"}
        sender = senders.save_smtp(None, {"name": name, "address": "bench@example.com", **server})
        if signed:
            sender.config = sender.config | {"dkim_selector": "bench"}
            sender.secrets = secrets.seal({"dkim_private_key": private_key()})
            db.session.flush()
        bodies = {"subject_line": "Hi {{ first_name }}", "html_content": HTML}
        template = templates.save(None, {"name": name, **bodies})
        segment = segments.save(None, {"name": name})
        chosen = {"template_id": template.id, "segment_id": segment.id, "sender_id": sender.id}
        campaign = campaigns.save(None, {"name": name, **chosen})
        campaigns.launch(campaign.id)
        return campaign.id


def work(settings: Settings, url: str, org: int, ready: Any, go: Any, used: Any) -> None:
    """One process of ours: sends until nothing is left, and tells what processor time that took."""
    app = create_app(settings, url)

    def slice_(_: int) -> int:
        with app.app_context(), tenancy.scope(org):
            return dispatch.send_for(f"bench-{os.getpid()}", 600, threading.Event())

    ready.release()
    go.wait()
    before = _own_seconds()
    with ThreadPoolExecutor(schedule.SEND_THREADS) as pool:
        list(pool.map(slice_, range(schedule.SEND_THREADS)))
    used.put(_own_seconds() - before)


def _own_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def _machine_seconds() -> float:
    """Seconds that the machine's processors were at work."""
    spent = psutil.cpu_times()
    return sum(getattr(spent, name, 0) for name in ("user", "nice", "system", "irq", "softirq"))


def our_rate(app: Flask, org: int, port: int, n: int, processes: int, signed: bool) -> Measured:
    """Sends a campaign to everybody with so many processes."""
    campaign_id = prepare(org, port, f"Bench {processes} {'signed' if signed else 'plain'}", signed)
    spawn = multiprocessing.get_context("spawn")
    ready, go, used = spawn.Semaphore(0), spawn.Event(), spawn.Queue()
    arguments = (app.config["SETTINGS"], app.config["OWNER_URL"], org, ready, go, used)
    running = [spawn.Process(target=work, args=arguments) for _ in range(processes)]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    started, machine = time.perf_counter(), _machine_seconds()
    with tenancy.scope(org):
        dispatch.start_due()
    planned = time.perf_counter()
    go.set()
    ours = sum(used.get() for _ in running)
    for process in running:
        process.join()
    with tenancy.scope(org):
        dispatch.settle()
    taken, machine = time.perf_counter() - started, _machine_seconds() - machine
    with transaction(org):
        sent = value("SELECT count(*) FROM sends WHERE campaign_id = :c AND status = 'sent'", c=campaign_id)
        status = one("SELECT status FROM campaigns WHERE id = :c", c=campaign_id).status
    assert (sent, status) == (n, "completed"), (sent, status)
    plan = planned - started
    return Measured(n / taken, n / (taken - plan), ours / n * 1e6, machine / n * 1e6, plan)


def main(n: int = 20_000) -> None:
    if not tool("smtp-sink"):
        print("sending: smtp-sink is not here (Debian's postfix has it): not measured")
        return
    with house() as (app, org):
        add_leads(org, n)
        port = free_port()
        with sink(port):
            # By default it makes a connection for each message; -d keeps its connections, as we do.
            before = source_rate(port, n, BODY_BYTES)
            ours = {(processes, False): our_rate(app, org, port, n, processes, False) for processes in (1, 2)}
            reference = (before + source_rate(port, n, BODY_BYTES)) / 2
            kept = source_rate(port, n, BODY_BYTES, "-d")
            signed = signs() and is_signed(app, org)
            if signed:
                ours |= {(processes, True): our_rate(app, org, port, n, processes, True) for processes in (1, 2)}
    print(
        f"sending: smtp-source {reference:,.0f}/s, with its connections kept {kept:,.0f}/s; personalised, two counted links"
    )
    for (processes, with_dkim), found in ours.items():
        target = f" (target {TARGET})" if (processes, with_dkim) == (2, False) else ""
        print(f"sending, {processes} process(es), DKIM {'on' if with_dkim else 'off'}: {found.rate:,.0f}/s"
              f" from launch to recorded, ratio {found.rate / reference:.2f}{target}; without planning {found.sending:,.0f}/s, ratio"
              f" {found.sending / reference:.2f}, to kept connections {found.sending / kept:.2f}; a message costs us"
              f" {found.ours:,.0f} us of processor time, the machine {found.whole:,.0f} us; plan {found.plan:.2f} s")  # fmt: skip
    print(
        f"sending: {'a message looked at carries its signature' if signed else 'DKIM is NOT MEASURED: nothing was signed'}"
    )


def is_signed(app: Flask, org: int) -> bool:
    """Sends a message of a signing sender to a server of ours. Returns whether it carries a signature."""
    with Server() as server:
        campaign_id = prepare(org, server.port, "Signed", True)
        with tenancy.scope(org):
            dispatch.start_due()
            dispatch.send_for("bench", 0, threading.Event())
        with transaction(org):
            campaigns.cancel(campaign_id)
        return any(b"DKIM-Signature:" in data for _, data in server.accepted)


if __name__ == "__main__":
    main()
