"""Records that are kept as soon as they are there, so that a run that was stopped goes on where it was.

`records.jsonl` in a run's folder holds, after a line that says what was run, one record a line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.files import write_atomically

RECORDS = "records.jsonl"
DIGEST = 16
"""Contents are told apart by so many hexadecimal digits."""


def digest_of(image: UInt8) -> str:
    """Return the beginning of the SHA-256 of an image's size and samples (H, W, 3), which is part of its record's key.

    Two folders may have images of one name, and an image may be replaced by another.
    """
    return hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()[:DIGEST]


def digest_of_options(options: Mapping[str, Any]) -> str:
    """Return the same of what a coder is called with, since a setting's name alone does not tell it."""
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:DIGEST]


class Kept(Protocol):
    """A dataclass that a journal keeps."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> Hashable:
        """Return what no two records of a journal share."""

    @property
    def model(self) -> str:
        """Return the name of the model that was measured, or of something else."""

    @property
    def failure(self) -> str:
        """Return what went wrong, "" if nothing did."""


K = TypeVar("K", bound=Kept)


class Journal(Generic[K]):
    """The records in a folder that a stopped run has left, and those that come.

    Records of a model that has changed since are forgotten, those of other models and coders stay. What failed is
    forgotten, too: memory may have been short, or a package missing, and another attempt shows it.

    Args:
        folder: which is made.
        what: what is run: data set, models' digests by name, versions, and whatever else records depend on, such as
            the machine. Records of anything else do not mix with it; of models see above.
        kind: of the records.
        force: forget what is there.

    Raises:
        InputError: the folder holds records of something else, or of nothing that can be read.
    """

    def __init__(self, folder: Path, what: Mapping[str, Any], kind: type[K], *, force: bool = False) -> None:
        self.path = folder / RECORDS
        self.records: dict[Hashable, K] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if force or not self.path.exists():
            self.path.write_text(json.dumps(what) + "\n", encoding="utf-8")
            return
        remedy = "choose another folder, or begin anew with --force"
        try:
            text = self.path.read_text(encoding="utf-8")
            first, *lines = text.splitlines() or [""]
            before = json.loads(first)
            models = dict(before.pop("models"))
            if differing := [key for key in before | what if key != "models" and before.get(key) != what.get(key)]:
                raise InputError(f"{self.path}: holds records of another {', '.join(differing)}: {remedy}")
            records = [kind(**json.loads(line)) for line in (lines if text.endswith("\n") else lines[:-1])]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{self.path}: damaged: {remedy}") from error
        changed = {name for name, digest in what["models"].items() if models.get(name, digest) != digest}
        kept = [record for record in records if record.model not in changed and not record.failure]
        self.records = {record.key: record for record in kept}
        header = json.dumps({**what, "models": models | what["models"]})
        rest = "".join(json.dumps(asdict(record)) + "\n" for record in self.records.values())
        write_atomically(self.path, f"{header}\n{rest}".encode())  # without a last line that was cut short

    def add(self, records: Sequence[K]) -> None:
        """Keep records, on disk before anything else happens."""
        self.records |= {record.key: record for record in records}
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(record)) + "\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
