"""The trainings of `python -m feasibility.predetermined_embeddings --full` on a machine that has torch and little else.

    python3 -c "from feasibility.predetermined_embeddings.device import train; train('OUT/models.npz', minutes=9)"

Afterwards OUT/models.npz is put into a folder, and the experiment judges it wherever matplotlib is, with `--full
--keep FOLDER`. Nothing is trained twice: a run that ran out of time goes on in the next one.
"""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feasibility.harness import T
from feasibility.predetermined_embeddings.experiment import Config, completed
from feasibility.predetermined_embeddings.jobs import Kept, Unfinished
from feasibility.predetermined_embeddings.protocol import carry_out


def train(
    out: str, minutes: float = 9.0, text: str = "", keep: str = "", earlier: str = "", workers: int = 4, **changes: Any
) -> bool:
    """Train what is missing; returns whether everything is there.

    Args:
        out: bundle of all answers, .npz.
        minutes: after which no step is begun.
        text: novels in words; the shipped ones by default.
        keep: folder of finished parts on this machine.
        earlier: a bundle of another run.
        workers: processes; they take the GPUs in turn.
        changes: of the configuration, such as device="cpu" or seeds=2.
    """
    folder = Path(keep) if keep else None
    if folder and earlier and Path(earlier).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(earlier, folder / "earlier.npz")
    kept = Kept(folder, Path(out))
    config = Config(full=True, minutes=minutes, text=Path(text) if text else None, workers=workers, **changes)
    done = False
    try:
        carry_out(completed(config), _lines, kept)
        done = True
    except Unfinished as error:
        print(error, flush=True)
    except Exception:
        # What is there is worth keeping, whatever went wrong.
        traceback.print_exc()
    kept.close()
    print(f"{len(kept)} models in {out}; {'all' if done else 'not all'} of the protocol", flush=True)
    return done


def _lines(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    begin = time.monotonic()
    for number, item in enumerate(items, 1):
        print(f"{time.monotonic() - begin:6.1f} s  job {number} of {total}, {label}", file=sys.stderr, flush=True)
        yield item
