"""What is wrong with a webhook's certificate, in the words of Go's crypto/x509."""

import datetime
import ipaddress
import ssl

from cryptography import x509

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_NOT_YET_VALID, _EXPIRED = 9, 10


class CertificateProblem(Exception):
    """The certificate is not for the name; the message says for which it is."""


def check_name(der, name):
    """Raises CertificateProblem unless the subjectAltName has `name`, a DNS name or an address."""
    try:
        names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName).value
        dns_names = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
        absent = False
    except x509.ExtensionNotFound:
        dns_names, addresses, absent = [], [], True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        _check_dns_name(name, dns_names, absent)
        return
    if not addresses:
        raise CertificateProblem(
            f"cannot validate certificate for {name} because it doesn't contain any IP SANs")
    if address not in addresses:
        raise CertificateProblem(f"certificate is valid for {', '.join(map(str, addresses))}, not {name}")


def _check_dns_name(name, dns_names, absent):
    if any(_dns_matches(pattern.lower(), name.lower()) for pattern in dns_names):
        return
    if absent:
        raise CertificateProblem("certificate relies on legacy Common Name field, use SANs instead")
    if not dns_names:
        raise CertificateProblem(f"certificate is not valid for any names, but wanted to match {name}")
    raise CertificateProblem(f"certificate is valid for {', '.join(dns_names)}, not {name}")


def _dns_matches(pattern, name):
    """RFC 6125: a star stands for the whole first label."""
    if not pattern.startswith("*."):
        return pattern == name
    return name.partition(".")[2] == pattern[2:] and not name.startswith(".")


def verification_problem(error, connect, server_name):
    """Why OpenSSL refused the chain.

    `connect` gives another connection, to read the dates that OpenSSL keeps to itself."""
    if error.verify_code not in (_NOT_YET_VALID, _EXPIRED):
        return "certificate signed by unknown authority"
    words = "certificate has expired or is not yet valid"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with connect() as plain, context.wrap_socket(plain, server_hostname=server_name) as secure:
            certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True))
    except (OSError, ValueError):
        return words
    now = datetime.datetime.utcnow()
    if now > certificate.not_valid_after:
        return f"{words}: current time {_iso(now)} is after {_iso(certificate.not_valid_after)}"
    return f"{words}: current time {_iso(now)} is before {_iso(certificate.not_valid_before)}"


def _iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
