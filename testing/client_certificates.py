"""Certificates of the embedded server and its clients, and how it recognises them (RFC 8705).

A client proves itself by a certificate of the server's own authority, whose subject it has registered
(``tls_client_auth``, §2.1), or by one that it has signed itself and registered as it is
(``self_signed_tls_client_auth``, §2.2).
"""

from __future__ import annotations

import os
import ssl
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from .server_state import Client

HEADER: Final = "Client-Cert"
"""The certificate of a connection, as a gateway hands it on (RFC 9440 §2.1); nobody else may set it."""
_LASTS: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """A certificate in files that only their owner can read.

    Attributes:
        certificate: The file of the certificate, PEM.
        key: The file of its private key, PEM.
        subject: Its subject, as a client registers it (``tls_client_auth_subject_dn``).
        thumbprint: What a token that is bound to it names (``x5t#S256``, §3.1).
    """

    certificate: str
    key: str
    subject: str
    thumbprint: str


class Authority:
    """Makes certificates, in a folder."""

    def __init__(self, folder: str) -> None:
        """Keep what is made in ``folder``, which exists."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Stayfast test authority")
        self.own = self._write("authority", self._name, self._key, None)
        """Its own certificate: what a client must trust."""

    def issue(self, name: str, *, self_signed: bool = False) -> CertificateFiles:
        """A certificate for the client ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._write(name, _named(name), key, None if self_signed else self._key)

    def server_context(self) -> tuple[ssl.SSLContext, CertificateFiles]:
        """TLS for a server on a loopback address, which asks each client for a certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [
            x509.IPAddress(ip_address("127.0.0.1")),
            x509.DNSName("localhost"),
        ]
        own = self._write("server", _named("127.0.0.1"), key, self._key, names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        context.load_verify_locations(self.own.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context, own

    def _write(
        self,
        name: str,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey | None,
        names: list[x509.GeneralName] | None = None,
    ) -> CertificateFiles:
        # Python 3.13 checks what RFC 5280 §4.2.1 wants of an authority: its use, and the key of each signer
        now = datetime.now(UTC)
        signed_by = x509.SubjectKeyIdentifier.from_public_key((signer or key).public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if signer is None else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LASTS)
            .not_valid_after(now + _LASTS)
            .add_extension(
                x509.BasicConstraints(ca=signer is None, path_length=None), critical=True
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signed_by),
                critical=False,
            )
            .add_extension(_usage(signs=signer is None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = builder.sign(signer or key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return CertificateFiles(
            certificate=self._file(f"{name}.pem", made.public_bytes(serialization.Encoding.PEM)),
            key=self._file(f"{name}.key", private),
            subject=subject.rfc4514_string(),
            thumbprint=thumbprint(made.public_bytes(serialization.Encoding.DER)),
        )

    def _file(self, name: str, octets: bytes) -> str:
        path = os.path.join(self._folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(octets)
        return path


def thumbprint(certificate: bytes) -> str:
    """``x5t#S256`` of a certificate in DER (§3.1)."""
    return urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=").decode("ascii")


def shown_certificate(headers: Mapping[str, str]) -> bytes | None:
    """The certificate, in DER, of the connection that a request with ``headers`` came by."""
    value = headers.get(HEADER)
    return None if value is None else b64decode(value.strip(":"))


def client_by_certificate(
    method: str, query_client: Callable[[str], Client | None], request: Any
) -> Client | None:
    """The client whose certificate ``request`` came with; ``None`` where that does not hold."""
    shown = shown_certificate(request.headers)
    client = query_client(str(request.form.get("client_id")))
    if shown is None or client is None or client.auth_method != method:
        return None
    if method == "self_signed_tls_client_auth":
        return client if client.certificate == thumbprint(shown) else None
    subject = x509.load_der_x509_certificate(shown).subject.rfc4514_string()
    return client if client.certificate == subject else None


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
