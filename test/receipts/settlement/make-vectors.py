"""Writes ledger-v1.json from docs/format/records.md, "Ledger", alone: it shares no code with Holdfast."""
import contextlib
import io
import json
import pathlib
import runpy

HERE = pathlib.Path(__file__).parent
with contextlib.redirect_stdout(io.StringIO()):
    b3 = runpy.run_path(str(HERE.parent / "make-vectors.py"))["b3"]

GATEWAY = "a1" * 32
MIB = 1 << 20


def written(record):
    return json.dumps({"v": 1, **record}, separators=(",", ":"), ensure_ascii=False)


def shared(wanted, cap, most):
    capped = {p: min(n, cap) for p, n in wanted.items()}
    total = sum(capped.values())
    return {p: n if total <= most else n * most // total for p, n in capped.items()}


POOL = 100 * MIB
BUDGET = POOL * 300 // 1000
first = shared({"p1": 5 * MIB + 3, "p2": 40 * MIB}, BUDGET * 500 // 1000, BUDGET)
booked = [
    (f"fund/pool/{POOL}", "", {"owner/pool": -POOL, "pool": POOL}, []),
    (
        f"read/{GATEWAY}/500000",
        "01" * 32,
        {"pool": -sum(first.values()), **{f"provider/{p}": n for p, n in first.items()}},
        [["p3", "few_readers"], ["p2", "provider_cap"]],
    ),
    (f"read/{GATEWAY}/500001", "02" * 32, {}, []),
]

entries, marks, accounts, previous = [], {}, {}, "00" * 32
for seq, (name, digest, postings, unpaid) in enumerate(booked, 1):
    assert sum(postings.values()) == 0
    entry = written(
        {
            "seq": seq,
            "id": name,
            "at": 1_800_000_000_000,
            "digest": digest,
            "previous": previous,
            "postings": [[account, str(amount)] for account, amount in postings.items()],
            "unpaid": unpaid,
        }
    )
    entries.append([f"{seq:016}", entry])
    marks[name] = written({"seq": seq, "digest": digest})
    previous = b3(entry.encode()).hex()
    for account, amount in postings.items():
        accounts[account] = accounts.get(account, 0) + amount

print(
    json.dumps(
        {
            "terms": {"poolCredits": 100, "epochShare": 300, "providerShare": 500, "minReaders": 3},
            "hours": [
                {
                    "epoch": 500000,
                    "digest": "01" * 32,
                    "providers": [["p1", 5 * MIB + 3, 3], ["p2", 40 * MIB, 3], ["p3", MIB, 2]],
                },
                {"epoch": 500001, "digest": "02" * 32, "providers": []},
            ],
            "gateway": GATEWAY,
            "at": 1_800_000_000_000,
            "tables": {
                "ledger_entries": dict(entries),
                "ledger_done": marks,
                "ledger_accounts": {a: written({"balance": str(n)}) for a, n in accounts.items()},
                "ledger_head": {"head": written({"seq": len(booked), "digest": previous})},
            },
        },
        indent=1,
    )
)
