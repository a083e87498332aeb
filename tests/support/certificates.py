"""Certificates for servers on 127.0.0.1, made on the spot."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def server_context(
    folder: Path, *, expired: bool = False, names: Sequence[str] = ()
) -> ssl.SSLContext:
    """A context for a server whose self-signed certificate is ``folder/certificate.pem``.

    It is for this machine, and for the hosts of the further ``names``.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, key, expired=expired, names=names)
    _write(folder / "certificate.pem", certificate)
    return _context(folder, key, certificate)


def lax_context(folder: Path) -> ssl.SSLContext:
    """A context for a server whose authority is ``folder/certificate.pem``.

    Neither names its key, as many authorities of companies do not, though RFC 5280 §4.2.1.1 wants it.
    """
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    _write(folder / "certificate.pem", _certificate(authority, authority))
    return _context(folder, key, _certificate(key, authority))


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    expired: bool = False,
    names: Sequence[str] = (),
) -> x509.Certificate:
    own = signer is key
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    name = issuer if own else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    now = datetime.now(UTC)
    hosts: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.DNSName("localhost"),
        *map(x509.DNSName, names),
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=-1 if expired else 1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=own, path_length=0 if own else None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _context(
    folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> ssl.SSLContext:
    public, private = folder / "server.pem", folder / "key.pem"
    _write(public, certificate)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context
