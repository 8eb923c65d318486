"""Files written whole or not at all.

As `feasibility.store.write_atomic`, which this package may not import: experiments stand above what they measure.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_atomic(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder and rename.

    Raises:
        OSError: the disk is full or the folder cannot be written; the message says how many bytes were to be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({len(content):,} bytes to write)", str(path)) from error
    finally:
        scratch.unlink(missing_ok=True)
