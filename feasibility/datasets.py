"""Named data, checked by checksum: shipped with the project, in a local folder, or downloaded when asked for.

    python -m feasibility.datasets list                        # what there is, its licence, and where it is now
    python -m feasibility.datasets get ud-english-ewt-train    # download into the cache; nothing else ever downloads
    python -m feasibility.datasets path ud-english-ewt-train   # where the plain file lies
    python -m feasibility.datasets verify                      # check everything that is here

A dataset is looked for in this order: shipped; the folder $ASA_DATA (plain or .xz); the cache. The first that has it
is used, and when that one is damaged this is an error, never a reason to take another. The cache is $ASA_CACHE, or the
platform's folder for caches. What each content must be stands in datasets.toml.
"""

from __future__ import annotations

import errno
import hashlib
import lzma
import os
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from feasibility import store
from feasibility.download import DatasetCorrupt, DownloadFailed, download
from feasibility.environment import ROOT
from feasibility.harness import DataRecord

Origin = Literal["shipped", "local", "cache"]

COMMAND = "python -m feasibility.datasets"


class DatasetMissing(LookupError):
    """Data that are not here, or no data of that name; the message says how to get them."""


@dataclass(frozen=True)
class Dataset:
    """One file of data, known by its content.

    Args:
        name: as experiments and results call it.
        version: release, or the first seven digits of the commit it was taken from.
        sha256: of the plain (decompressed) content, lower-case hexadecimal.
        size: of the plain content, in bytes.
        licence: the licence's short name.
        source: whom to cite, and what it is.
        shipped: path below the project's packages, or None where it is not shipped.
        local: path below $ASA_DATA; there the file is plain or has .xz appended.
        url: where `get` downloads it from, or None where nobody may or can.
    """

    name: str
    version: str
    sha256: str
    size: int
    licence: str
    source: str
    shipped: str | None = None
    local: str | None = None
    url: str | None = None

    @property
    def ships(self) -> bool:
        """Whether the project itself contains it."""
        return self.shipped is not None


def _read_registry() -> dict[str, Dataset]:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {name: Dataset(name=name, **fields) for name, fields in table.items()}


DATASETS = _read_registry()

__all__ = ["DATASETS", "Dataset", "DatasetCorrupt", "DatasetMissing", "DownloadFailed", "fetch", "locate", "record"]

# (path, checksum, size, time of change) of files whose content this process has checked.
_CHECKED: set[tuple[str, str, int, int]] = set()
_LOCK = threading.Lock()


def locate(name: str) -> Path:
    """The plain file of a dataset, its content checked once in a process. Never downloads.

    Args:
        name: as in `DATASETS`.

    Raises:
        DatasetMissing: unknown name, not here, or ASA_DATA is not a folder.
        DatasetCorrupt: it is here, but its content is not what the checksum says.
        OSError: a compressed local file cannot be unpacked into the cache (disk full, no permission).

    Cost: reads the file once to check it; unpacks a local .xz into the cache the first time.
    """
    return _find(name)[1]


def record(name: str) -> DataRecord:
    """What a result must say of the data it saw: name, version, checksum, licence, and where they came from.

    Raises:
        DatasetMissing, DatasetCorrupt, OSError: see `locate`.
    """
    origin, _ = _find(name)
    dataset = DATASETS[name]
    return DataRecord(dataset.name, dataset.version, dataset.sha256, dataset.licence, origin)


def fetch(name: str) -> Path:
    """Download a dataset into the cache, unless it is shipped, local or there already; progress on stderr.

    Returns:
        The plain file, as `locate` gives it.

    Raises:
        DatasetMissing: unknown name, or nowhere to download it from.
        DownloadFailed: no answer from there, or one that broke off; nothing of it is kept.
        DatasetCorrupt: what came is not what the checksum says and was not kept; or it is here and damaged.
        OSError: the cache cannot be written (disk full, no permission).
    """
    dataset = _named(name)
    origin = origin_of(dataset)
    if origin in ("shipped", "local"):
        return locate(name)
    if origin == "cache":
        with suppress(DatasetCorrupt):
            return locate(name)
    if dataset.url is None:
        raise DatasetMissing(_how_to_get(dataset))
    target = _cached(dataset)
    with _told(dataset, target):
        download(dataset.name, dataset.url, dataset.sha256, dataset.size, target)
    return locate(name)


def origin_of(dataset: Dataset) -> Origin | None:
    """Where `locate` would take a dataset from, None where it is not here; nothing is read or checked.

    Raises:
        DatasetMissing: ASA_DATA is not a folder.
    """
    if dataset.ships:
        return "shipped"
    if _local_file(dataset) is not None:
        return "local"
    return "cache" if _cached(dataset).is_file() else None


def cache_folder() -> Path:
    """Where downloaded and unpacked files go: $ASA_CACHE, or the platform's folder for caches."""
    import pooch

    return Path(os.environ.get("ASA_CACHE") or pooch.os_cache("atomic-semantic-attention")).expanduser()


def _named(name: str) -> Dataset:
    if name not in DATASETS:
        raise DatasetMissing(f"no dataset {name!r}; there are: {', '.join(DATASETS)}")
    return DATASETS[name]


def _find(name: str) -> tuple[Origin, Path]:
    # Two threads that unpack the same file would write to the same scratch file.
    with _LOCK:
        return _find_checked(_named(name))


def _find_checked(dataset: Dataset) -> tuple[Origin, Path]:
    if dataset.shipped is not None:
        return "shipped", _checked(dataset, ROOT / dataset.shipped, "reinstall atomic-semantic-attention")
    local = _local_file(dataset)
    if local is not None:
        check = _unpacked if local.suffix == ".xz" else _checked
        return "local", check(dataset, local, "put the right file there, or remove it")
    cached = _cached(dataset)
    if cached.is_file():
        return "cache", _checked(dataset, cached, f"replace it: {COMMAND} get {dataset.name}")
    raise DatasetMissing(_how_to_get(dataset))


def _local_file(dataset: Dataset) -> Path | None:
    named = os.environ.get("ASA_DATA")
    if not named or dataset.local is None:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DatasetMissing(f"ASA_DATA is {named!r}, which is not a folder; correct it or unset it")
    return next((path for suffix in ("", ".xz") if (path := folder / (dataset.local + suffix)).is_file()), None)


def _cached(dataset: Dataset) -> Path:
    # The checksum is part of the path: another version never meets an older file.
    file = Path(dataset.local or dataset.url or dataset.name).name
    return cache_folder() / f"{dataset.name}-{dataset.sha256[:12]}" / file


def _how_to_get(dataset: Dataset) -> str:
    ways = []
    if dataset.url is not None:
        ways.append(f"get it with: {COMMAND} get {dataset.name} ({dataset.size:,} bytes, {dataset.licence})")
    if dataset.local is not None:
        ways.append(f"set ASA_DATA to a folder that has {dataset.local} or {dataset.local}.xz")
    return f"{dataset.name} is not here; {', or '.join(ways)}"


def _checked(dataset: Dataset, path: Path, remedy: str) -> Path:
    key = _key(path, dataset)
    if key not in _CHECKED:
        with path.open("rb") as file:
            _compare(dataset, path, hashlib.file_digest(file, "sha256").hexdigest(), remedy)
        _CHECKED.add(key)
    return path


def _unpacked(dataset: Dataset, packed: Path, remedy: str) -> Path:
    """The plain form of a local .xz, in the cache. A damaged .xz is an error even where the cache has it right."""
    plain, key = _cached(dataset), _key(packed, dataset)
    if key not in _CHECKED or not plain.is_file():
        try:
            content = lzma.decompress(packed.read_bytes())
        except lzma.LZMAError as error:
            raise DatasetCorrupt(f"{packed} is not a whole .xz file ({error}); {remedy}") from error
        _compare(dataset, packed, hashlib.sha256(content).hexdigest(), remedy)
        if not plain.is_file() or plain.read_bytes() != content:
            with _told(dataset, plain):
                store.write_atomic(plain, content)
                store.sweep(plain.parent)
        _CHECKED.add(key)
    return _checked(dataset, plain, f"delete it, it is unpacked anew from {packed}")


def _key(path: Path, dataset: Dataset) -> tuple[str, str, int, int]:
    status = path.stat()
    return str(path), dataset.sha256, status.st_size, status.st_mtime_ns


def _compare(dataset: Dataset, path: Path, actual: str, remedy: str) -> None:
    if actual != dataset.sha256:
        raise DatasetCorrupt(
            f"{path} is not {dataset.name} {dataset.version}: its content has sha256 {actual}, "
            f"expected {dataset.sha256}; {remedy}"
        )


@contextmanager
def _told(dataset: Dataset, target: Path) -> Iterator[None]:
    """Say what was to be written where when the disk does not allow it."""
    try:
        yield
    except DownloadFailed:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            text = f"no space left for {dataset.name} ({dataset.size:,} bytes); free some, or set ASA_CACHE elsewhere"
        else:
            # Pooch's own PermissionError has no number, and a text that names the folder twice.
            denied = isinstance(error, PermissionError)
            reason = error.strerror or (os.strerror(errno.EACCES) if denied else error)
            text = f"cannot write {dataset.name} ({reason}); set ASA_CACHE to a folder that can be written"
        raise OSError(error.errno or errno.EACCES, text, str(target.parent)) from error


def _list() -> int:
    """Show every dataset: where it is now, its licence, its source."""
    # All of them before the first line: a wrong ASA_DATA is an error, not half a table.
    origins = {name: origin_of(dataset) for name, dataset in DATASETS.items()}
    for name, dataset in DATASETS.items():
        state = origins[name] or ("not here" if dataset.url else "not here, no download")
        print(f"{dataset.name:24}{dataset.version:9}{state:23}{dataset.licence}\n{'':24}{dataset.source}")
    return 0


def _get(names: Sequence[str]) -> int:
    """Download datasets into the cache, each checked by its checksum."""
    if not names:
        raise DatasetMissing(f"name at least one dataset; `{COMMAND} list` shows them")
    for name in names:
        print(fetch(name))
    return 0


def _path(name: str) -> int:
    """Print where the plain file of a dataset lies."""
    print(locate(name))
    return 0


def _verify(names: Sequence[str]) -> int:
    """Check the content of the named datasets, or of all that are here; exit status 1 where one is damaged."""
    damaged = 0
    for name in names or [name for name, dataset in DATASETS.items() if origin_of(dataset) is not None]:
        try:
            origin, file = _find(name)
            print(f"{name:24}ok, {origin}: {file}")
        except DatasetCorrupt as error:
            damaged += 1
            print(f"{name:24}DAMAGED: {error}")
    return 1 if damaged else 0


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exit status as in `feasibility.cli`, and 1 where `verify` found damage."""
    import tyro

    from feasibility.cli import guarded

    def run() -> Any:
        return tyro.extras.subcommand_cli_from_dict(
            {"list": _list, "get": _get, "path": _path, "verify": _verify},
            prog=COMMAND,
            description=__doc__,
            args=argv,
            config=(tyro.conf.PositionalRequiredArgs,),
        )

    sys.exit(guarded(run))


if __name__ == "__main__":
    main()
