"""A time-stamping authority: a certificate authority made with ``openssl``, behind an HTTP server."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="there is no openssl on this machine to be the time-stamping authority"
)

_CONFIG = """
[ tsa ]
default_tsa = this
[ this ]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
certs = {certs}
"""
_LEAF = """
extendedKeyUsage=critical,timeStamping
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
"""
_ISSUER = """
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
"""
_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


class Tsa:
    """Root → intermediate → time-stamping certificate, in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.root = folder / "root.pem"
        self.digests = "sha256"
        self.certs = "chain.pem"
        self._run(f"req -x509 {_NEW_KEY} -keyout root.key -out root.pem -subj /CN=Root -days 30")
        self._issue("inter", "root", _ISSUER)
        self._issue("tsa", "inter", _LEAF)
        root, inter = self.root.read_text(), (folder / "inter.pem").read_text()
        (folder / "chain.pem").write_text(inter + root)
        (folder / "niahc.pem").write_text(root + inter)
        (folder / "serial").write_text("01\n")

    def _issue(self, name: str, issuer: str, extensions: str) -> None:
        (self.folder / "extensions").write_text(extensions)
        self._run(f"req {_NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        self._run(f"x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial "
                  f"-extfile extensions -out {name}.pem -days 30")  # fmt: skip

    def _run(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)

    def answer(self, request: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq."""
        (self.folder / "tsa.cnf").write_text(_CONFIG.format(digests=self.digests, certs=self.certs))
        (self.folder / "query").write_bytes(request)
        self._run("ts -reply -config tsa.cnf -queryfile query -out reply")
        return (self.folder / "reply").read_bytes()

    def verifies(self, data: Path, stamp: Path) -> bool:
        """Whether openssl finds a stored time stamp good."""
        command = ["openssl", "ts", "-verify", "-data", str(data), "-in", str(stamp), "-CAfile", str(self.root)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Served:
    """What the HTTP server of an authority has seen, and how it shall behave."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[bytes] = []
        self.content_types: list[str] = []
        self.status = 200
        self.replay: bytes | None = None


@contextmanager
def serve(tsa: Tsa) -> Iterator[Served]:
    """The authority behind HTTP on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            served.requests.append(body)
            served.content_types.append(self.headers["Content-Type"])
            answer = tsa.answer(body) if served.replay is None else served.replay
            self.send_response(served.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{server.server_address[1]}/tsr")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()
