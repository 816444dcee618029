"""Judges a log of Keyline's with packages that nobody here wrote: every decision is theirs.

    python verify.py sigstore|pymerkle VERIFIER-KEY < questions > verdicts

A question is a line of JSON (case.rs says which there are); a verdict is the line "accepted", or "refused: " and why. A leaf gets
no verdict: it goes into the tree with which pymerkle compares later checkpoints.

Notes are opened by sigstore in both cases; pymerkle knows none. Consistency is judged by pymerkle alone, and in its own way: its
proofs name other subtrees than RFC 6962's, so it makes one from the leaves and holds the roots of both checkpoints against it.
"""

import functools
import json
import sys
from base64 import b64decode
from types import SimpleNamespace as Fields

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pymerkle import InclusionProof, InmemoryTree, InvalidProof
from pymerkle.core import _inclusion_path_layout
from pymerkle.hasher import MerkleHasher
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint
from sigstore._internal.trust import Keyring
from sigstore._utils import KeyID
from sigstore.errors import VerificationError
from sigstore_models.common.v1 import PublicKey, PublicKeyDetails

# What the packages raise where they refuse; anything else ends the program. ValueError: base64 and numbers.
REFUSALS = (VerificationError, InvalidProof, ValueError)


class Notes:
    """Opens the notes of one log with sigstore."""

    def __init__(self, verifier_key):
        self.origin, key_id, key = verifier_key.split("+", 2)
        public_key = Ed25519PublicKey.from_public_bytes(b64decode(key)[1:])
        der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        details = PublicKeyDetails.PKIX_ED25519
        self.keyring = Keyring([PublicKey.model_construct(raw_bytes=der, key_details=details)])
        self.key_id = KeyID(bytes.fromhex(key_id))

    @functools.lru_cache(maxsize=1024)
    def open(self, text):
        """The checkpoint in a note, its signature verified."""
        signed = SignedCheckpoint.from_text(text)
        signed.signed_note.verify(self.keyring, self.key_id)
        if signed.checkpoint.origin != self.origin:
            raise VerificationError("another log's checkpoint")
        return Fields(size=signed.checkpoint.log_size, root=bytes.fromhex(signed.checkpoint.log_hash))


def sigstore_inclusion(head, leaf, index, path):
    proof = Fields(log_index=index, tree_size=head.size, root_hash=head.root, hashes=path)
    verify_merkle_inclusion(Fields(_inner=Fields(inclusion_proof=proof, canonicalized_body=leaf)))


def pymerkle_inclusion(head, leaf, index, path):
    base = MerkleHasher("sha256").hash_buff(leaf)
    rule, _ = _inclusion_path_layout(index + 1, head.size)
    proof = InclusionProof("sha256", True, head.size, index + 1, rule, [base, *path])
    proof.verify(base, head.root, index=index + 1, size=head.size, algorithm="sha256")


def pymerkle_root(head, tree):
    if tree.get_root(head.size) != head.root:
        raise InvalidProof("the leaves have another root")


def pymerkle_consistency(old, new, tree):
    proof = tree.prove_consistency(old.size, new.size)
    proof.verify(old.root, new.root, prior_size=old.size, later_size=new.size, algorithm="sha256")


def read(line):
    """A question. Text is all that sigstore reads: a note that is none ends the program."""
    question = Fields(**{"leaf": "", "index": 0, "path": [], "note": "", "old_note": "", **json.loads(line)})
    question.leaf = b64decode(question.leaf, validate=True)
    question.path = [b64decode(node, validate=True) for node in question.path]
    question.note = b64decode(question.note, validate=True).decode()
    question.old_note = b64decode(question.old_note, validate=True).decode()
    return question


def judge(question, library, notes, tree):
    head = notes.open(question.note)
    match question.kind, library:
        case "checkpoint", "sigstore":
            pass
        case "checkpoint", "pymerkle":
            pymerkle_root(head, tree)
        case "inclusion", "sigstore":
            sigstore_inclusion(head, question.leaf, question.index, question.path)
        case "inclusion", "pymerkle":
            pymerkle_inclusion(head, question.leaf, question.index, question.path)
        case "consistency", "pymerkle":
            pymerkle_consistency(notes.open(question.old_note), head, tree)
        case other:
            sys.exit(f"no such question: {other}")


def main(library, verifier_key):
    notes, tree = Notes(verifier_key), InmemoryTree(algorithm="sha256")
    for line in sys.stdin:
        question = read(line)
        if question.kind == "leaf":
            tree.append_entry(question.leaf)
            continue
        try:
            judge(question, library, notes, tree)
            print("accepted")
        except REFUSALS as refusal:
            print("refused:", repr(str(refusal)))


main(*sys.argv[1:])
