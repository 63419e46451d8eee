#!/usr/bin/env python3
"""Checks a log from the texts of C2SP, RFC 6962 and RFC 9162, and docs/format/anchor.md. Python's standard library alone.

    python3 verify-log.py FOLDER EARLIER

FOLDER is a log's `public`, EARLIER a folder of its checkpoints (`<size>`) and proofs (`<index>-<size>.tlog-proof`) from
before. Prints what it found as JSON; fails where anything is wrong.
"""
import base64
import hashlib
import json
import pathlib
import sys

# --- Ed25519 (RFC 8032, section 5.1), by extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x * y = T/Z

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def point_of(data):
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    assert y < P, "no point"
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if x * x % P != xx:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == xx, "no point"
    x = P - x if x & 1 != data[31] >> 7 else x
    return (x, y, 1, x * y % P)


BASE = point_of(bytes.fromhex("58" + "66" * 31))


def check_signature(public, message, signature):
    s = int.from_bytes(signature[32:], "little")
    assert len(signature) == 64 and s < L, "no signature"
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(point_of(signature[:32]), times(h, point_of(public)))
    same = all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))
    assert same, "the signature is wrong"


# --- c2sp.org/signed-note and c2sp.org/tlog-checkpoint


def key_of(text):
    name, key_id, data = text.split("+", 2)
    data = base64.b64decode(data, validate=True)
    assert len(data) == 33 and data[0] == 1, "no Ed25519 key"
    assert hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex() == key_id, "the key has another id"
    return name, bytes.fromhex(key_id), data[1:]


def open_checkpoint(note, key):
    name, key_id, public = key
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    signed = False
    for line in signatures.splitlines():
        dash, by, data = line.split(" ")
        assert dash == "\u2014", "no line of signatures"
        data = base64.b64decode(data, validate=True)
        if by == name and data[:4] == key_id:
            check_signature(public, text.encode(), data[4:])
            signed = True
    assert signed, "not signed by the log"
    origin, size, root = text.splitlines()
    assert origin == name and str(int(size)) == size
    return int(size), base64.b64decode(root, validate=True)


# --- RFC 6962, section 2.1


def sha(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return sha(b"\1" + left + right)


def split(n):
    return 1 << (n - 1).bit_length() - 1


def mth(leaves):
    if len(leaves) == 0:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node(mth(leaves[:k]), mth(leaves[k:]))


def subproof(m, leaves, complete):
    n = len(leaves)
    if m == n:
        return [] if complete else [mth(leaves)]
    k = split(n)
    if m <= k:
        return subproof(m, leaves[:k], complete) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]


# --- RFC 9162, sections 2.1.3.2 and 2.1.4.2


def check_inclusion(index, size, leaf, path, root):
    assert index < size
    fn, sn, r = index, size - 1, leaf
    for p in path:
        assert sn != 0
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and r == root, "not included"


def check_consistency(first, second, first_root, second_root, path):
    if first == second:
        assert path == [] and first_root == second_root
        return
    if first & (first - 1) == 0:
        path = [first_root] + path
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        assert sn != 0
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and fr == first_root and sr == second_root, "not consistent"


# --- c2sp.org/tlog-tiles


def tile_path(level, number, width):
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join(["x" + part for part in parts[:-1]] + [parts[-1]])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < 256 else "")


def read_tiles(folder, level, count):
    return [
        (folder / tile_path(level, at // 256, min(256, count - at))).read_bytes() for at in range(0, count, 256)
    ]


def read_log(folder, size):
    """Hashes of the leaves, by the tiles of level 0; the entries and the tiles above have to agree."""
    leaves, entries = [], []
    for tile in read_tiles(folder, 0, size):
        leaves += [tile[i : i + 32] for i in range(0, len(tile), 32)]
    for bundle in read_tiles(folder, "entries", size):
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            entries.append(bundle[2 : 2 + length])
            assert len(entries[-1]) == length
            bundle = bundle[2 + length :]
    assert len(leaves) == len(entries) == size
    assert [sha(b"\0" + entry) for entry in entries] == leaves
    below, level = leaves, 1
    while len(below) >= 256:
        above = [mth(below[i : i + 256]) for i in range(0, len(below) - 255, 256)]
        assert b"".join(read_tiles(folder, level, len(above))) == b"".join(above), f"tiles of level {level}"
        below, level = above, level + 1
    return leaves, entries


# --- docs/format/anchor.md, "Entries": CBOR of five fields, in the order of their lengths, then of their bytes


def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for code, length in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 256**length:
            return bytes([major << 5 | code]) + value.to_bytes(length, "big")


def text(value):
    return head(3, len(value)) + value.encode()


def entry_of(kind, key, digest, total):
    fields = [("v", head(0, 1)), ("key", text(key)), ("kind", text(kind)), ("total", head(0, total))]
    fields.append(("digest", head(2, 32) + digest))
    return head(5, 5) + b"".join(text(name) + value for name, value in fields)


def check_proof(proof, key, entries):
    lines, note = proof.split("\n\n", 1)
    first, extra, index, *path = lines.split("\n")
    assert first == "c2sp.org/tlog-proof@v1" and extra.startswith("extra ") and index.startswith("index ")
    entry, index = base64.b64decode(extra[6:], validate=True), int(index[6:])
    assert entry == entries[index]
    size, root = open_checkpoint(note, key)
    check_inclusion(index, size, sha(b"\0" + entry), [base64.b64decode(p, validate=True) for p in path], root)


def main(folder, earlier):
    key = key_of((folder / "log.vkey").read_text().rstrip("\n"))
    size, root = open_checkpoint((folder / "checkpoint").read_text(), key)
    leaves, entries = read_log(folder, size)
    assert mth(leaves) == root, "the checkpoint has another root"
    for i, entry in enumerate(entries):
        assert entry == entry_of("epoch", "ab" * 32 + f"/{i}", sha(f"root {i}".encode()), i), f"entry {i}"
    sizes = proofs = 0
    for path in sorted(earlier.iterdir()):
        if path.suffix == ".tlog-proof":
            check_proof(path.read_text(), key, entries)
            proofs += 1
            continue
        old_size, old_root = open_checkpoint(path.read_text(), key)
        assert str(old_size) == path.name and mth(leaves[:old_size]) == old_root
        check_consistency(old_size, size, old_root, root, subproof(old_size, leaves, True))
        sizes += 1
    print(json.dumps({"size": size, "checkpoints": sizes, "proofs": proofs}))


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
