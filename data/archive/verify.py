"""Checks this archive without the system that made it: `python3 verify.py`. Needs nothing but Python 3.8.

Every file must have the SHA-256 of manifest.json; every entry of proofs.json must lead to a signed
checkpoint; every signature must be of public.pem. Compare public.pem and a checkpoint with a copy
that you were given on another day: then nobody, its owner included, can have changed an entry since.
"""

import base64
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
# The curve of GB/T 32918.5 (sm2p256v1).
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
ID = b"1234567812345678"


def rotl(x, n):
    n %= 32
    return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF


def sm3(data):
    v = [
        0x7380166F,
        0x4914B2B9,
        0x172442D7,
        0xDA8A0600,
        0xA96F30BC,
        0x163138AA,
        0xE38DEE4D,
        0xB0FB0E4E,
    ]
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + (len(data) * 8).to_bytes(8, "big")
    for at in range(0, len(padded), 64):
        w = [int.from_bytes(padded[at + i : at + i + 4], "big") for i in range(0, 64, 4)]
        for j in range(16, 68):
            x = w[j - 16] ^ w[j - 9] ^ rotl(w[j - 3], 15)
            w.append((x ^ rotl(x, 15) ^ rotl(x, 23)) ^ rotl(w[j - 13], 7) ^ w[j - 6])
        a, b, c, d, e, f, g, h = v
        for j in range(64):
            t = 0x79CC4519 if j < 16 else 0x7A879D8A
            s1 = rotl((rotl(a, 12) + e + rotl(t, j)) & 0xFFFFFFFF, 7)
            s2 = s1 ^ rotl(a, 12)
            ff = a ^ b ^ c if j < 16 else (a & b) | (a & c) | (b & c)
            gg = e ^ f ^ g if j < 16 else (e & f) | (~e & g)
            t1 = (ff + d + s2 + (w[j] ^ w[j + 4])) & 0xFFFFFFFF
            t2 = (gg + h + s1 + w[j]) & 0xFFFFFFFF
            a, b, c, d, e, f, g, h = (
                t1,
                a,
                rotl(b, 9),
                c,
                t2 ^ rotl(t2, 9) ^ rotl(t2, 17),
                e,
                rotl(f, 19),
                g,
            )
        v = list(map(int.__xor__, v, (a, b, c, d, e, f, g, h)))
    return b"".join(x.to_bytes(4, "big") for x in v)


def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    m = (
        (3 * p[0] * p[0] + A) * pow(2 * p[1], P - 2, P)
        if p == q
        else (q[1] - p[1]) * pow(q[0] - p[0], P - 2, P)
    )
    x = (m * m - p[0] - q[0]) % P
    return x, (m * (p[0] - x) - p[1]) % P


def times(k, p):
    found = None
    while k:
        found = add(found, p) if k & 1 else found
        p, k = add(p, p), k >> 1
    return found


def public(pem):
    raw = base64.b64decode("".join(line for line in pem.splitlines() if "-----" not in line))
    point = raw[raw.rindex(b"\x03\x42\x00\x04") + 4 :][:64]
    return int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")


def numbers(der):
    found, at = [], 2
    while at < len(der):
        size = der[at + 1]
        found.append(int.from_bytes(der[at + 2 : at + 2 + size], "big"))
        at += 2 + size
    return found


def signed(key, message, der):
    r, s = numbers(der)
    if not (0 < r < N and 0 < s < N and (r + s) % N):
        return False
    said = b"".join(n.to_bytes(32, "big") for n in (A, B, *G, *key))
    digest = sm3(sm3((len(ID) * 8).to_bytes(2, "big") + ID + said) + message)
    point = add(times(s, G), times((r + s) % N, key))
    return point is not None and (int.from_bytes(digest, "big") + point[0]) % N == r


def root_of(leaf, index, size, path):
    at, last, node = index, size - 1, leaf
    for one in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            node = sm3(b"\x01" + one + node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = sm3(b"\x01" + node + one)
        at, last = at >> 1, last >> 1
    return node if last == 0 else None


def faults():
    for name, digest in json.loads((HERE / "manifest.json").read_text("utf-8")).items():
        path = HERE / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield name + " is missing or was changed"
    said = json.loads((HERE / "proofs.json").read_text("utf-8"))
    key = public((HERE / "public.pem").read_text("utf-8"))
    roots = {}
    for mark in said["checkpoints"]:
        if not signed(key, mark["body"].encode(), bytes.fromhex(mark["signature"])):
            yield "a checkpoint is not signed by public.pem"
        size, root = mark["body"].split("\n")[1:3]
        roots[int(size)] = bytes.fromhex(root)
    for one in said["entries"]:
        text = json.dumps(one["entry"], ensure_ascii=False, separators=(",", ":"))
        leaf = sm3(b"\x00" + text.encode())
        if one["proof"] is None:
            yield f"entry {one['entry'][0]}: {one['why']}"
            continue
        size, path = one["proof"]["size"], [bytes.fromhex(p) for p in one["proof"]["path"]]
        if leaf.hex() != one["leaf"] or root_of(leaf, one["seq"] - 1, size, path) != roots.get(
            size
        ):
            yield f"entry {one['entry'][0]} was changed, or never stood in the journal"


if __name__ == "__main__":
    found = list(faults())
    sys.stdout.write(
        "\n".join(found) + "\n" if found else "All files, entries and signatures hold.\n"
    )
    sys.exit(1 if found else 0)
