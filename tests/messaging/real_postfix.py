"""A Postfix of the test's own: its configuration, queue and log under one folder, its ports free ones."""

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from tests.bench.sending import free_port, tool
from tests.messaging.conftest import POSTFIX

MAIN = """compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = mx.lone.example
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
transport_maps = inline:{{ {transports} }}
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
maximal_queue_lifetime = 6s
bounce_queue_lifetime = 6s
"""
MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _wait(port: int, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not _answers(port):
        assert time.monotonic() < deadline, f"nothing answers at port {port}"
        time.sleep(0.05)


@contextmanager
def refusing(command: str, *reply: str):
    """A server that refuses every recipient: -f for good or -r for now, with a reply (-B or -b). Yields its port."""
    port = free_port()
    process = subprocess.Popen(
        [tool("smtp-sink"), "-u", "nobody", command, "RCPT", *reply, f"127.0.0.1:{port}", "100"],
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postfix(transports: dict[str, str]):
    """Runs Postfix. transports: domain -> where its mail goes. Yields (port, its log)."""
    # Not under the test's own folder, which nobody but root may enter.
    home = Path(tempfile.mkdtemp(prefix="canvass-postfix-"))
    home.chmod(0o755)
    for name in ("conf", "queue", "data"):
        (home / name).mkdir()
    shutil.chown(home / "data", "postfix")
    port = free_port()
    routes = ", ".join(f"{domain}={transport}" for domain, transport in transports.items())
    (home / "conf/main.cf").write_text(MAIN.format(home=home, transports=routes))
    (home / "conf/master.cf").write_text(MASTER.format(port=port))
    command = [POSTFIX, "-c", str(home / "conf")]
    subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
    try:
        _wait(port)
        yield port, home / "log"
    finally:
        subprocess.run([*command, "stop"], capture_output=True, timeout=60)
        shutil.rmtree(home, ignore_errors=True)
