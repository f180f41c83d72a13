"""`kubectl exec`: a program started in a container, its streams in the channels of a WebSocket.

The protocol is `v5.channel.k8s.io`: a message's first byte names its channel. Channel 3 tells how it ended.
"""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import threading

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_PIECE = 32 * 1024


class Execution:
    """One command. `socket` is a websocket.WebSocket; run() returns when the command has ended.

    The command is ended when the client goes away before.
    """

    def __init__(self, socket, argv, environment, tty, with_stdin):
        self._socket = socket
        self._argv = argv
        self._environment = environment
        self._tty = tty
        self._with_stdin = with_stdin
        self._process = None
        self._stdin = None  # file descriptor; with a terminal, the terminal

    def run(self):
        self._socket.send(bytes([_STDOUT]))
        try:
            outputs = self._start()
        except OSError as error:
            self._tell({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
                        "message": f"Internal error occurred: error executing command in container: {error}"})
            return
        copies = [threading.Thread(target=self._copy, args=output, daemon=True) for output in outputs]
        for copy in copies:
            copy.start()
        threading.Thread(target=self._read_client, daemon=True).start()
        code = self._process.wait()
        for copy in copies:
            copy.join()
        self._tell(_outcome(code))

    def _start(self):
        """Starts the process; [(unbuffered file, channel)] of what it prints."""
        if self._tty:
            terminal, other = pty.openpty()
            try:
                self._process = subprocess.Popen(
                    self._argv, stdin=other, stdout=other, stderr=other, env=self._environment,
                    start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            finally:
                os.close(other)
            self._stdin = terminal
            return [(open(os.dup(terminal), "rb", buffering=0), _STDOUT)]
        wanted = subprocess.PIPE if self._with_stdin else subprocess.DEVNULL
        self._process = subprocess.Popen(
            self._argv, bufsize=0, stdin=wanted, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self._environment, start_new_session=True)
        if self._with_stdin:
            self._stdin = os.dup(self._process.stdin.fileno())
            self._process.stdin.close()
        return [(self._process.stdout, _STDOUT), (self._process.stderr, _STDERR)]

    def _copy(self, pipe, channel):
        with pipe:
            try:
                while piece := pipe.read(_PIECE):
                    self._socket.send(bytes([channel]) + piece)
            except (OSError, EOFError):
                pass  # a terminal's end is an error; a client that is gone is told by the reading thread

    def _read_client(self):
        try:
            while True:
                message = self._socket.receive()
                channel, content = message[0] if message else None, message[1:]
                if channel == _STDIN and self._stdin is not None:
                    _write_all(self._stdin, content)
                elif channel == _RESIZE and self._tty:
                    self._resize(content)
                elif channel == _CLOSE and content[:1] == bytes([_STDIN]):
                    self._close_stdin()
        except (EOFError, OSError):
            self._close_stdin()
            if self._process.poll() is None:
                self._process.terminate()

    def _resize(self, content):
        try:
            size = json.loads(content)
            packed = struct.pack("HHHH", int(size["Height"]), int(size["Width"]), 0, 0)
        except (ValueError, KeyError, TypeError, struct.error):
            return
        if self._stdin is not None:
            fcntl.ioctl(self._stdin, termios.TIOCSWINSZ, packed)

    def _close_stdin(self):
        if self._stdin is not None:
            descriptor, self._stdin = self._stdin, None
            os.close(descriptor)

    def _tell(self, status):
        try:
            self._socket.send(bytes([_ERROR]) + json.dumps(status, separators=(",", ":")).encode())
        except (OSError, EOFError):
            pass


def _outcome(code):
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    code = code if code > 0 else 128 - code  # as a shell tells of a signal
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}


def _write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]
