"""Makes signature.json: detached JWS by an implementation that is not ours (pyca/cryptography and the
openssl program). Keys and certificates are new at every run; the file is recorded once.

    python3 make.py > signature.json
"""
import base64, datetime as dt, json, os, subprocess, sys, tempfile
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

FROM, TO = dt.datetime(2026, 1, 1), dt.datetime(2036, 1, 1)
AT = "2026-11-19T12:00:00Z"
BODY = '{"resourceType":"MedicationRequest","note":"für Ängstliche – ½ Tablette"}\n'.encode()


def name(cn):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def certify(cn, key, issuer, issuer_key, ca=False, start=FROM, end=TO, digital=True):
    usage = dict.fromkeys(["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
    usage["key_cert_sign" if ca else "digital_signature" if digital else "key_agreement"] = True
    b = (x509.CertificateBuilder().subject_name(name(cn)).issuer_name(issuer).public_key(key.public_key())
         .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
         .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
         .add_extension(x509.KeyUsage(**usage), critical=True))
    return b.sign(issuer_key, hashes.SHA256())


def b64u(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def der(c):
    return c.public_bytes(serialization.Encoding.DER)


def pem(*certs):
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certs)


def sign(key, chain, body, **header):
    alg = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "ES256"
    head = {"alg": alg, "x5c": [base64.b64encode(der(c)).decode() for c in chain], **header}
    protected = b64u(json.dumps(head).encode())
    payload = body if head.get("b64") is False else b64u(body).encode()
    text = protected.encode() + b"." + payload
    if alg == "EdDSA":
        raw = key.sign(text)
    else:
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return protected + ".." + b64u(raw)


def openssl(key, chain, body):
    """The commands of docs/signatures.md."""
    protected = b64u(json.dumps({"alg": "EdDSA", "x5c": [base64.b64encode(der(c)).decode() for c in chain]}).encode())
    with tempfile.TemporaryDirectory() as d:
        path = lambda n: os.path.join(d, n)
        with open(path("key"), "wb") as f:
            f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        with open(path("text"), "wb") as f:
            f.write(protected.encode() + b"." + b64u(body).encode())
        subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", path("key"), "-rawin", "-in", path("text"), "-out", path("sig")], check=True)
        with open(path("sig"), "rb") as f:
            return protected + ".." + b64u(f.read())


root_key, sub_key, other_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
root = certify("Vector Root", root_key, name("Vector Root"), root_key, ca=True)
sub = certify("Vector Prescribers", sub_key, root.subject, root_key, ca=True)
other = certify("Vector Root", other_key, name("Vector Root"), other_key, ca=True)
p256, ed = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
leaf, edleaf = certify("Dr Okafor", p256, sub.subject, sub_key), certify("Dr Okafor", ed, root.subject, root_key)
old = certify("Dr Okafor", p256, root.subject, root_key, end=dt.datetime(2026, 11, 19))
new = certify("Dr Okafor", p256, root.subject, root_key, start=dt.datetime(2026, 11, 20))
agree = certify("Dr Okafor", p256, root.subject, root_key, digital=False)
plain = {"b64": False, "crit": ["b64"]}

vectors = []


def vector(title, jws, reason="", body=BODY, anchors=root, by="pyca/cryptography"):
    vectors.append({"name": title, "by": by, "body": base64.b64encode(body).decode(), "jws": jws, "anchors": pem(anchors),
                    "time": AT, "verdict": "failed" if reason else "verified", "reason": reason})


vector("ES256 with an intermediate", sign(p256, [leaf, sub], BODY))
vector("EdDSA", sign(ed, [edleaf], BODY))
vector("EdDSA by the openssl program", openssl(ed, [edleaf], BODY), by="openssl")
vector("unencoded payload", sign(p256, [leaf, sub], BODY, **plain))
vector("unencoded payload, EdDSA", sign(ed, [edleaf], BODY, **plain))
vector("the intermediate is the anchor", sign(p256, [leaf], BODY), anchors=sub)
vector("body without its last byte", sign(p256, [leaf, sub], BODY), "mismatch", body=BODY[:-1])
vector("b64 not critical", sign(p256, [leaf, sub], BODY, b64=False), "header")
vector("unknown critical parameter", sign(p256, [leaf, sub], BODY, crit=["exp"], exp=1), "header")
vector("jku", sign(p256, [leaf, sub], BODY, jku="https://keys.example/"), "header")
vector("alg none", sign(p256, [leaf, sub], BODY, alg="none"), "algorithm")
vector("EdDSA said of a P-256 key", sign(p256, [leaf, sub], BODY, alg="EdDSA"), "algorithm")
vector("no intermediate", sign(p256, [leaf], BODY), "untrusted")
vector("another root of the same name", sign(p256, [leaf, sub], BODY), "untrusted", anchors=other)
vector("expired", sign(p256, [old], BODY), "expired")
vector("not yet valid", sign(p256, [new], BODY), "not-yet-valid")
vector("for key agreement", sign(p256, [agree], BODY), "usage")
json.dump(vectors, sys.stdout, indent=2, ensure_ascii=False)
print()
