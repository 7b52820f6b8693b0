"""Certificates of this installation: an authority of its own, and the host's certificate from it."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twin.errors import BadRequest
from ui.terminal import checks

AUTHORITY_DAYS, HOST_DAYS = 3650, 397  # browsers refuse host certificates that last longer
_BACK = timedelta(hours=1)  # clocks of clients may be slow


def make(home: Path, names: list[str]) -> Path:
    """Make the host's certificate for names and addresses; the authority is made once and kept."""
    listed = [_name(n) for n in dict.fromkeys([*names, *_own_names()])]
    where = home / checks.TLS
    where.mkdir(parents=True, exist_ok=True)
    authority, signer = _authority(where)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(_title(names[0] if names else "localhost"))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(min(now + timedelta(days=HOST_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName(listed), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    _write_key(where / "host.key", key)
    _write(where / "host.pem", _pem(cert) + _pem(authority))
    return where / "host.pem"


def device_certificate(home: Path, product: str, device: str) -> tuple[bytes, bytes]:
    """Make a client certificate of a device: PEM with its key, and DER.

    Its authority is the home's own; the doors read it at their start, so the first one needs a restart.
    """
    where = home / checks.TLS
    where.mkdir(parents=True, exist_ok=True)
    authority, signer = _authority(where)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(_title(f"{product}/{device}"))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(authority.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _pem(cert) + secret, cert.public_bytes(serialization.Encoding.DER)


def _authority(where: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, secret = where / "authority.pem", where / "authority.key"
    if path.exists() and secret.exists():
        key = serialization.load_pem_private_key(secret.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(path.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = _title(f"Lvrong Twin {socket.gethostname()}"), datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(secret, key)
    _write(path, _pem(cert))
    return cert, key


def _signs() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _own_names() -> list[str]:
    return ["localhost", "127.0.0.1", "::1", socket.gethostname()]


def _name(said: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(said))
    except ValueError:
        pass
    parts = said.removeprefix("*.").split(".")
    if len(said) > 253 or not all(
        0 < len(p) <= 63 and p.replace("-", "").replace("_", "").isalnum() and p.isascii()
        for p in parts
    ):
        raise BadRequest(f"{said!r} is no name of a host and no address.")
    return x509.DNSName(said)


def _title(said: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said[:64])])


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    raw = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, raw, 0o600)


def _write(path: Path, raw: bytes, mode: int = 0o644) -> None:
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=mode)
    part.write_bytes(raw)
    part.replace(path)


def ends_at(path: Path) -> datetime:
    """Return when a certificate ends."""
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
