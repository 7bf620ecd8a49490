"""What the keys of ``[http]`` can be wrong about together: who may reach the server, and by what."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from fixgateway.config.problems import Problem
from fixgateway.config.tables import Http, is_loopback


def checks(file: str, http: Http, tls_files: tuple[Path, Path] | None) -> Iterator[Problem]:
    """Every problem; ``tls_files`` are certificate and key, None without a certificate."""
    if not (is_loopback(http.host) or http.tls_certificate or http.behind_proxy):
        yield Problem(
            file,
            "http.host",
            f"{http.host} can be reached from other machines, and passwords would travel in the clear",
            'write a loopback address such as "127.0.0.1", or give tls_certificate and tls_key, or behind_proxy = true',
        )
    if bool(http.tls_certificate) != bool(http.tls_key):
        missing = "tls_key" if http.tls_certificate else "tls_certificate"
        yield Problem(file, f"http.{missing}", "is missing", "give both tls_certificate and tls_key, or none")
    elif tls_files is not None:
        yield from _tls_checks(file, *tls_files)
    if http.proxy_user_header and not (http.behind_proxy and http.proxy_addresses):
        yield Problem(
            file,
            "http.proxy_user_header",
            "would be believed from nobody",
            "write behind_proxy = true, and the proxy's address in proxy_addresses",
        )


def _tls_checks(file: str, certificate: Path, key: Path) -> Iterator[Problem]:
    """Certificate and key exist, fit, and the key is a secret."""
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        if not path.is_file():
            yield Problem(file, f"http.{name}", f"{path} does not exist", "correct the path")
            return
    if key.stat().st_mode & 0o077:
        yield Problem(file, "http.tls_key", f"{key} can be used by others than its owner", f"chmod 0600 {key}")
        return
    try:
        # A passphrase is asked for on the terminal unless one is given; none fits an encrypted key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        words = f"{key} and {certificate} cannot be used together: {error}"
        yield Problem(file, "http.tls_key", words, "give the certificate's own key, unencrypted, both as PEM")
