"""One file over HTTP: checked by its checksum before it takes its place, with a progress bar on stderr."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_REMEDY = "try again later, or put the file into your ASA_DATA folder"


class DownloadFailed(ConnectionError):
    """No answer, or one that broke off. Nothing of it was kept."""


class DatasetCorrupt(ValueError):
    """Data whose content is not what the checksum says."""


def download(name: str, url: str, sha256: str, size: int, target: Path) -> None:
    """Put a file in its place, whole and checked, or not at all. A right file that is there already stays.

    Args:
        name: for the progress bar and for messages.
        url: http or https.
        sha256: of the content, lower-case hexadecimal.
        size: of the content in bytes, for the progress bar.
        target: where it goes; folders are made.

    Raises:
        DownloadFailed: no answer, or one that broke off.
        DatasetCorrupt: another content came; nothing of it was kept.
        OSError: the target cannot be written.
    """
    import pooch
    import requests

    with _progress(name, size) as advance:
        # Not pooch's own: it leaves the connection open when something goes wrong.
        def receive(url: str, output_file: str, _: object) -> None:
            with requests.get(url, stream=True, timeout=30) as response, Path(output_file).open("wb") as file:
                response.raise_for_status()
                for chunk in response.iter_content(chunk_size=1 << 16):
                    file.write(chunk)
                    advance(len(chunk))

        try:
            # Pooch writes to a temporary file beside the target, compares the checksum, and only then renames it.
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=target.name,
                path=target.parent,
                downloader=receive,
            )
        except requests.RequestException as error:
            raise DownloadFailed(f"{name}: {url} could not be read ({error}); {_REMEDY}") from error
        except ValueError as error:
            actual = next((digest for digest in re.findall(r"[0-9a-f]{64}", str(error)) if digest != sha256), None)
            if actual is None:
                raise
            raise DatasetCorrupt(
                f"{name}: what {url} gave has sha256 {actual}, expected {sha256}, and was not kept; {_REMEDY}"
            ) from error


@contextmanager
def _progress(name: str, size: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=size)
        yield lambda received: bars.advance(task, received)
