"""Weights files: their hashes, and whether they can be trusted."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.core.paths import PROJECT_ROOT

# `sha256sum` format; lists the checkpoints of this project, so that copies in any place are recognised.
KNOWN_CHECKPOINTS = PROJECT_ROOT / "weights" / "SHA256SUMS"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder concatenated in sorted order; 64 hex digits."""
    digest = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def model_hash(path: Path) -> str:
    """Return the first 16 hex digits of `sha256`, which identify weights in run.json and in saved detections."""
    return sha256(path)[:16]


def is_own_checkpoint(path: Path) -> bool:
    """Return whether the file is byte for byte a checkpoint of this project (weights/SHA256SUMS)."""
    if not KNOWN_CHECKPOINTS.is_file():
        return False
    known = {line.split()[0] for line in KNOWN_CHECKPOINTS.read_text().splitlines() if line.strip()}
    return sha256(path) in known
