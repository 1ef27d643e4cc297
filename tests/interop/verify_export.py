"""Checks an exported audit log: verify_export.py FILE VERIFIER_KEY, and FILE.checkpoint beside it.

Written from daemon/AUDIT.md alone, in Python with `cryptography`."""
import base64, hashlib, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def root(leaves):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\x01", root(leaves[:k]), root(leaves[k:]))

def check(export, note, verifier_key):
    name, key_id, key = verifier_key.split("+", 2)
    key = base64.b64decode(key)
    assert sha(name.encode(), b"\n", key)[:4].hex() == key_id, "the key is not what its id says"
    leaves, last, time = [], "0" * 64, ""
    for seq, line in enumerate(export.split(b"\n")[:-1]):
        entry = json.loads(line)
        assert entry["v"] == 1 and entry["seq"] == seq, f"entry {seq} is missing or moved"
        assert entry["prev"] == last, f"entry {seq - 1} is not what it was"
        assert entry["time"] >= time, f"entry {seq} is older than the one before"
        leaves.append(sha(b"\x00", line))
        last, time = leaves[-1].hex(), entry["time"]
    text, signatures = note.split("\n\n")
    origin, size, tree = text.split("\n")
    assert origin == name, "the checkpoint is another log's"
    found = [line.split(" ")[2] for line in signatures.splitlines() if line.split(" ")[1] == name]
    found = [base64.b64decode(one) for one in found]
    signature = next(one[4:] for one in found if one[:4].hex() == key_id)
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, text.encode() + b"\n")
    assert int(size) == len(leaves), f"{len(leaves)} entries, and {size} were signed"
    assert base64.b64decode(tree) == root(leaves), "the last entries are not what was signed"
    return f"{size} entries are whole"

if __name__ == "__main__":
    path, verifier_key = sys.argv[1:]
    note = open(path + ".checkpoint", encoding="utf-8").read()
    print(check(open(path, "rb").read(), note, verifier_key))
