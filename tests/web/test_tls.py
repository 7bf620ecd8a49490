"""TLS: the server with a certificate, the command line that believes it, and what the configuration refuses."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from fixgateway.cli.client import Client
from fixgateway.config.http_checks import checks
from fixgateway.config.tables import Http
from fixgateway.errors import FixgatewayError
from fixgateway.web.server import serve

LONG_AGO, FAR = datetime.datetime(2020, 1, 1), datetime.datetime(2100, 1, 1)


def certificate(directory: Path, name: str = "tls") -> tuple[Path, Path]:
    """A certificate of this machine that signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(FAR)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(0o600)
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_the_server_speaks_tls_and_the_command_line_believes_its_own_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()
    app.get("/api/me", response_class=JSONResponse)(lambda: {"person_id": "tom"})
    own, other = certificate(tmp_path), certificate(tmp_path, "other")
    running = serve(app, "127.0.0.1", 0, own)
    try:
        address = f"127.0.0.1:{running.port}"
        with httpx.Client(trust_env=False, verify=ssl.create_default_context(cafile=own[0])) as client:
            assert client.get(f"https://{address}/api/me").json() == {"person_id": "tom"}
        with pytest.raises(httpx.HTTPError), httpx.Client(trust_env=False) as client:
            client.get(f"http://{address}/api/me")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("FIXGATEWAY_CA_FILE", str(own[0]))
        assert Client(f"https://{address}", None).get("/api/me") == {"person_id": "tom"}
        monkeypatch.setenv("FIXGATEWAY_CA_FILE", str(other[0]))
        with pytest.raises(FixgatewayError):
            Client(f"https://{address}", None).get("/api/me")
    finally:
        running.stop()


def keys(http: Http, files: tuple[Path, Path] | None = None) -> list[str]:
    return [problem.key for problem in checks("gateway.toml", http, files)]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gw.example.com"])
def test_others_reach_it_by_tls_or_through_a_proxy_or_not_at_all(host: str, tmp_path: Path) -> None:
    assert keys(Http(host=host)) == ["http.host"]
    assert keys(Http(host=host, behind_proxy=True)) == []
    tls = certificate(tmp_path)
    assert keys(Http(host=host, tls_certificate="a", tls_key="b"), tls) == []


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    both = Http(tls_certificate="a", tls_key="b")
    own, other = certificate(tmp_path), certificate(tmp_path, "other")
    assert keys(Http(tls_certificate="a")) == ["http.tls_key"]
    assert keys(Http(tls_key="b")) == ["http.tls_certificate"]
    assert keys(both, (own[0], other[1])) == ["http.tls_key"]
    assert keys(both, (own[0], tmp_path / "none")) == ["http.tls_key"]
    own[1].chmod(0o644)
    assert keys(both, own) == ["http.tls_key"]


def test_a_header_that_names_people_is_believed_from_named_addresses_only() -> None:
    assert keys(Http(proxy_user_header="X-User")) == ["http.proxy_user_header"]
    assert keys(Http(proxy_user_header="X-User", behind_proxy=True)) == ["http.proxy_user_header"]
    assert keys(Http(proxy_user_header="X-User", behind_proxy=True, proxy_addresses=("10.0.0.7",))) == []
