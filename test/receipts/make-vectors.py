#!/usr/bin/env python3
"""Writes test/vectors/receipt-v1.json from docs/format/receipt.md alone. Python's standard library, and nothing of Holdfast's.

    python3 test/receipts/make-vectors.py > test/vectors/receipt-v1.json
"""
import hashlib
import json

# --- BLAKE3 (its paper, section 2), for up to a chunk group of any length

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
START, END, PARENT, ROOT, KEYED, CONTEXT, MATERIAL = 1, 2, 4, 8, 16, 32, 64
M32 = 0xFFFFFFFF


def words(data):
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


def compress(cv, block, counter, length, flags):
    v = list(cv) + IV[:4] + [counter & M32, counter >> 32, length, flags]
    m = list(block)

    def g(a, b, c, d, x, y):
        for word, r1, r2 in ((x, 16, 12), (y, 8, 7)):
            v[a] = (v[a] + v[b] + word) & M32
            v[d] ^= v[a]
            v[d] = (v[d] >> r1 | v[d] << 32 - r1) & M32
            v[c] = (v[c] + v[d]) & M32
            v[b] ^= v[c]
            v[b] = (v[b] >> r2 | v[b] << 32 - r2) & M32

    for _ in range(7):
        g(0, 4, 8, 12, m[0], m[1]); g(1, 5, 9, 13, m[2], m[3])
        g(2, 6, 10, 14, m[4], m[5]); g(3, 7, 11, 15, m[6], m[7])
        g(0, 5, 10, 15, m[8], m[9]); g(1, 6, 11, 12, m[10], m[11])
        g(2, 7, 8, 13, m[12], m[13]); g(3, 4, 9, 14, m[14], m[15])
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def b3(data, key=IV, mode=0):
    def chunk(part, counter, root):
        cv = key
        blocks = [part[i : i + 64] for i in range(0, len(part), 64)] or [b""]
        for i, block in enumerate(blocks):
            flags = mode | (START if i == 0 else 0)
            if i == len(blocks) - 1:
                flags |= END | (ROOT if root else 0)
            cv = compress(cv, words(block.ljust(64, b"\0")), counter, len(block), flags)
        return cv

    def tree(part, counter, root):
        if len(part) <= 1024:
            return chunk(part, counter, root)
        half = 1024
        while 2 * half < len(part):
            half *= 2
        below = tree(part[:half], counter, False) + tree(part[half:], counter + half // 1024, False)
        return compress(key, below, 0, 64, mode | PARENT | (ROOT if root else 0))

    return b"".join(word.to_bytes(4, "little") for word in tree(data, 0, True))


def keyed(key, data):
    return b3(data, words(key), KEYED)


def derive(context, material):
    return b3(material, words(b3(context.encode(), IV, CONTEXT)), MATERIAL)


# --- Ed25519 (RFC 8032, section 6)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Y = 4 * pow(5, P - 2, P) % P


def x_of(y):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == 0 else P - x


B = (x_of(Y), Y)


def add(p, q):
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P)
    return x % P, y % P


def times(n, point):
    result = (0, 1)
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def encoded(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def secret(seed):
    h = hashlib.sha512(seed).digest()
    return (int.from_bytes(h[:32], "little") & (1 << 254) - 8 | 1 << 254), h[32:]


def public(seed):
    return encoded(times(secret(seed)[0], B))


def sign(seed, message):
    a, prefix = secret(seed)
    number = lambda *parts: int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L
    r = number(prefix, message)
    point = encoded(times(r, B))
    return point + ((r + number(point, public(seed), message) * a) % L).to_bytes(32, "little")


# --- Canonical CBOR

def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * width:
            return bytes([major << 5 | info]) + n.to_bytes(width, "big")


def cbor(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    items = sorted((cbor(key), cbor(item)) for key, item in value.items())
    items.sort(key=lambda item: (len(item[0]), item[0]))
    return head(5, len(items)) + b"".join(key + item for key, item in items)


# --- The format

CONTEXTS = {
    "read": "holdfast 2026-11 read ack v1",
    "execution": "holdfast 2026-11 execution receipt v1",
    "root": "holdfast 2026-11 epoch root v1",
}


def signed(record, seed):
    return {**record, "sig": sign(seed, CONTEXTS[record["kind"]].encode() + b"\0" + cbor(record))}


def leaf(record):
    return b3(b"\0" + record)


def tree(hashes):
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while 2 * half < len(hashes):
        half *= 2
    return b3(b"\1" + tree(hashes[:half]) + tree(hashes[half:]))


def path(hashes, index):
    if len(hashes) == 1:
        return []
    half = 1
    while 2 * half < len(hashes):
        half *= 2
    if index < half:
        return path(hashes[:half], index) + [tree(hashes[half:])]
    return path(hashes[half:], index - half) + [tree(hashes[:half])]


EPOCH = 500_000
START_MS = EPOCH * 3_600_000
KEY = bytes(range(32))
SIGNING = derive("holdfast 2026-11 gateway signing seed", KEY)
SECRET = derive("holdfast 2026-11 receipts epoch secret", KEY + EPOCH.to_bytes(8, "little"))
PATH, CLIENT, READ_ID = (derive(f"holdfast 2026-11 receipts {what} key", SECRET) for what in ("path", "client", "read id"))
GATEWAY = public(SIGNING)
READER = bytes([0xA1]) * 32
NODE = bytes([0xB2]) * 32


def grant(i, provider, domain, length, path_="/photo.jpg", client="192.0.2.7"):
    record = {
        "v": 1, "kind": "grant", "gateway": GATEWAY, "manifest": bytes([0x11]) * 32, "provider": provider, "domain": domain,
        "path_hash": keyed(PATH, path_.encode()), "client_hash": keyed(CLIENT, client.encode()),
        "issued": START_MS + 1000 * i, "length": length, "read_id": bytes([i]) * 16,
    }
    return {**record, "read_id": record["read_id"] + keyed(READ_ID, cbor(record))[:16]}


def read(granted, **more):
    return {**granted, "kind": "read", "allowed": True, **more}


def acknowledged(granted, count, ts):
    return signed(read(granted, bytes=count, ts=ts, pk=public(READER)), READER)


GRANTS = [grant(1, "p1", "example.org", 1_048_576), grant(2, "p1", "", 5), grant(3, "zwölf", "example.org", 2**40)]
FEW = [read(grant(20 + i, "p2", "", 100), bytes=100, ts=START_MS + 90_000) for i in range(11)]
RECORDS = [
    acknowledged(GRANTS[0], 1_048_576, START_MS + 2_000),
    acknowledged(GRANTS[1], 0, START_MS + 2_500),
    acknowledged(GRANTS[2], 2**33 + 1, START_MS + 3_599_999),
    read(grant(4, "p1", "", 77), bytes=70, ts=START_MS + 5_000),
    *FEW,
    acknowledged(grant(40, "p2", "", 100), 100, START_MS + 91_000),
    {**read(grant(5, "", "", 10), bytes=0, ts=START_MS + 6_000, reason="rate_limited"), "allowed": False},
    {"v": 1, "kind": "denials", "gateway": GATEWAY, "reason": "rate_limited", "reads": 1_000_000, "from": START_MS + 7_000, "to": START_MS + 17_000},
    signed({
        "v": 1, "kind": "execution", "gateway": GATEWAY, "manifest": bytes([0x22]) * 32, "provider": "p3", "domain": "example.org",
        "path_hash": keyed(PATH, b"/search"), "execution_id": bytes([0xEE]) * 16, "cpu_us": 12_345, "disk_read": 65_536,
        "disk_written": 0, "ts": START_MS + 8_000, "pk": public(NODE),
    }, NODE),
]
ENCODED = [cbor(record) for record in RECORDS]
BATCHES = [ENCODED[:3], ENCODED[3:]]
FILE = b"".join(cbor([b3(b"".join(batch)), b"".join(batch)]) for batch in BATCHES)
HASHES = [leaf(record) for record in ENCODED]


def provider(name, **fields):
    return {"provider": name, "reads": 0, "signed": 0, "readers": 0, "bytes": 0, "signed_bytes": 0, "executions": 0, "cpu_us": 0, "credited": 0, **fields}


def root(previous):
    return signed({
        "v": 1, "kind": "root", "gateway": GATEWAY, "epoch": EPOCH, "hash": "blake3", "root": tree(HASHES),
        "subtrees": [tree(HASHES)], "count": len(RECORDS), "bytes": 1_048_576 + 2**33 + 1 + 70 + 1_200,
        "credited": 1_048_576 + 2**33 + 1, "denied": 1_000_001,
        "providers": [
            provider("p1", reads=3, signed=2, readers=1, bytes=1_048_646, signed_bytes=1_048_576, credited=1_048_576),
            provider("p2", reads=12, signed=1, readers=1, bytes=1_200, signed_bytes=100, reason="few_signed"),
            provider("p3", executions=1, cpu_us=12_345),
            provider("zwölf", reads=1, signed=1, readers=1, bytes=2**33 + 1, signed_bytes=2**33 + 1, credited=2**33 + 1),
        ],
        "previous": previous,
    }, SIGNING)


ROOT_FILE = cbor(root(None))
NEXT = cbor(root({"epoch": EPOCH - 3, "digest": bytes([0x77]) * 32}))
INDEX = 2
PROOF = cbor({"v": 1, "kind": "inclusion", "index": INDEX, "path": path(HASHES, INDEX), "record": ENCODED[INDEX], "root": ROOT_FILE})

FINAL = {
    "v": 1, "kind": "final", "gateway": GATEWAY, "epoch": EPOCH, "digest": b3(ROOT_FILE), "anchor": "local",
    "where": "entry 7", "depth": 1, "at": EPOCH * 3_600_000 + 3_900_000,
}


def shown(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [shown(item) for item in value]
    return {key: shown(item) for key, item in value.items()} if isinstance(value, dict) else value


print(json.dumps({
    "about": "Receipts, version 1: docs/format/receipt.md. Bytes in hex. Made by test/receipts/make-vectors.py.",
    "gateway_key": KEY.hex(), "epoch": EPOCH, "gateway": GATEWAY.hex(),
    "keys": {"signing": SIGNING.hex(), "path": PATH.hex(), "client": CLIENT.hex(), "read_id": READ_ID.hex()},
    "reader_seed": READER.hex(), "node_seed": NODE.hex(), "path": "/photo.jpg", "client": "192.0.2.7",
    "grants": [{"fields": shown(granted), "bytes": cbor(granted).hex()} for granted in GRANTS],
    "records": [{"fields": shown(record), "bytes": encoded_.hex()} for record, encoded_ in zip(RECORDS, ENCODED)],
    "file": FILE.hex(), "leaves": shown(HASHES),
    "root": {"fields": shown(root(None)), "bytes": ROOT_FILE.hex(), "digest": b3(ROOT_FILE).hex()}, "next_root": NEXT.hex(),
    "proof": PROOF.hex(),
    "final": {"fields": shown(FINAL), "bytes": cbor(FINAL).hex()},
}, indent=1, ensure_ascii=False))
