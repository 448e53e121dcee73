"""An SMTP server process that counts: `python -m tests.counting_smtp PORT FILE MILLISECONDS` appends one line for each
message it accepts, and says so that much later: a message may well be accepted and its sender never learn of it.
Speaks RFC 5321 with PIPELINING; nothing else."""

import asyncio
import sys


class Counter(asyncio.Protocol):
    """One connection. The line is in the file before the sender can read 250, so that nothing accepted goes uncounted."""

    def __init__(self, file, pause: float):
        self.pause = pause
        self.file, self.buffer, self.in_data, self.recipient = file, b"", False, ""

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(b"220 counter ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n.\r\n" if self.in_data else b"\r\n")
            if end < 0:
                return
            if self.in_data:
                self.buffer, self.in_data = self.buffer[end + 5 :], False
                self.file.write(self.recipient + "\n")
                self.file.flush()
                # What is pipelined behind waits its turn: answers come in order.
                self.transport.pause_reading()
                asyncio.get_running_loop().call_later(self.pause, self.answer)
                return
            line, self.buffer = self.buffer[:end].decode(), self.buffer[end + 2 :]
            self.command(line)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"250 2.0.0 counted\r\n")
            self.transport.resume_reading()
            self.data_received(b"")

    def command(self, line: str) -> None:
        word = line[:4].upper()
        if word == "EHLO":
            self.transport.write(b"250-counter\r\n250 PIPELINING\r\n")
        elif word == "RCPT":
            self.recipient = line[line.index("<") + 1 : line.rindex(">")]
            self.transport.write(b"250 ok\r\n")
        elif word == "DATA":
            self.in_data = True
            # The first body line may begin at once: give the end mark a line end to follow.
            self.buffer = b"\r\n" + self.buffer if self.buffer.startswith(b".\r\n") else self.buffer
            self.transport.write(b"354 go on\r\n")
        elif word == "QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")


async def main(port: int, path: str, pause: float) -> None:
    """Serves until it is ended."""
    with open(path, "a", encoding="utf-8") as file:
        server = await asyncio.get_running_loop().create_server(lambda: Counter(file, pause), "127.0.0.1", port)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) / 1000))
