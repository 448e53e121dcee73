"""End-to-end sends per second (plan to recorded) into smtp-sink, against smtp-source in the same run."""

import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.bench.desk import add_leads, house
from webapp import schedule
from webapp.audience import segments
from webapp.campaigns import campaigns, dispatch
from webapp.messaging import senders, templates
from webapp.platform import tenancy
from webapp.platform.db import one, transaction, value

HTML = (
    "<h1>Hello {{ first_name }}</h1>"
    + "<p>A paragraph about insurance that says something useful. </p>" * 40
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


def source_rate(port: int, n: int, size: int) -> float:
    """Messages per second of Postfix's own load generator, over as many connections as we use."""
    started = time.perf_counter()
    command = [tool("smtp-source"), "-s", str(schedule.SEND_THREADS), "-m", str(n), "-l", str(size), "-d",
               "-f", "a@example.com", "-t", "b@example.com", f"127.0.0.1:{port}"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return n / (time.perf_counter() - started)


def our_rate(app, org: int, port: int, n: int) -> tuple[float, int]:
    """(sends per second from launch to the last one recorded, bytes of one message) for one process."""
    with transaction(org):
        sender = senders.save_smtp(None, {"name": "Bench", "address": "bench@example.com", "host": "127.0.0.1",
                                          "port": port, "tls": "none"})  # fmt: skip
        template = templates.save(
            None, {"name": f"Bench {port}", "subject_line": "Hi {{ first_name }}", "html_content": HTML}
        )
        segment = segments.save(None, {"name": f"All {port}"})
        campaign = campaigns.save(None, {"name": "Bench", "template_id": template.id, "segment_id": segment.id,
                                         "sender_id": sender.id})  # fmt: skip
        campaigns.launch(campaign.id)
        campaign_id = campaign.id
    started, cpu = time.perf_counter(), time.process_time()
    with tenancy.scope(org):
        dispatch.start_due()
    planned = time.perf_counter()

    def work(_: int) -> int:
        with app.app_context(), tenancy.scope(org):
            return dispatch.send_for("bench", 600, threading.Event())

    with ThreadPoolExecutor(schedule.SEND_THREADS) as pool:
        list(pool.map(work, range(schedule.SEND_THREADS)))
    with tenancy.scope(org):
        dispatch.settle()
    taken = time.perf_counter() - started
    with transaction(org):
        sent = value("SELECT count(*) FROM sends WHERE campaign_id = :c AND status = 'sent'", c=campaign_id)
        status = one("SELECT status FROM campaigns WHERE id = :c", c=campaign_id).status
    assert (sent, status) == (n, "completed"), (sent, status)
    each = (time.process_time() - cpu) / n * 1e6
    print(f"    plan {planned - started:.2f} s, send {taken - (planned - started):.2f} s, {each:.0f} us CPU a message")
    return n / taken


def main(n: int = 20_000) -> None:
    if not tool("smtp-sink"):
        print("sending: smtp-sink is not here (Debian's postfix has it): not measured")
        return
    with house() as (app, org):
        add_leads(org, n)
        port = free_port()
        with sink(port):
            reference = source_rate(port, n, 6000)
            ours = our_rate(app, org, port, n)
            again = source_rate(port, n, 6000)
        best = (reference + again) / 2
        print(
            f"sending: {ours:,.0f}/s end to end, smtp-source {reference:,.0f} and {again:,.0f}/s, ratio {ours / best:.2f} (target 0.5)"
        )


if __name__ == "__main__":
    main()
