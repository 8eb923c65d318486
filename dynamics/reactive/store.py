"""The learned parameters as one file, and the English ones that ship: plain arrays in an .npz.

Source of the shipped file: Universal Dependencies English EWT (Silveira et al. 2014), CC BY-SA 4.0, as the file is.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynamics.reactive.corpus import MOST_TAGS, Inventory
from dynamics.reactive.couplings import hashed_start
from dynamics.reactive.model import COUPLING_UNIT, Model, Table
from periodic_table.lexicon.storage import pack_arrays
from periodic_table.storage import write_atomic

SCHEMA = "reactive.v2"
SHIPPED = Path(__file__).parents[1] / "data" / "english-ewt.npz"
_REMEDY = "expected a file from python -m dynamics.reactive.train"


class MalformedParameters(ValueError):
    """A file that does not hold parameters of the reactive mode, or those of another version."""


def save(path: Path, model: Model) -> None:
    """Write a model; equal models give equal bytes.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older file stays.
    """
    own, start = model.inventory, hashed_start(model.sites)
    arrays: dict[str, NDArray[np.generic]] = {
        "schema": _text((SCHEMA,)),
        "upos": _text(own.upos),
        "fine": _text(own.fine),
        "labels": _text(own.labels),
        "first": own.first,
        "choices": own.choices,
        "tagger": model.tagger.weights,
        "coarse_weights": model.coarse.weights,
        "charge_weights": model.charges.weights,
        "label_weights": model.labels.weights,
        "scales": np.array([table.scale for table in _tables(model)]),
        # Rounded to these types when they were learned.
        "constants": model.constants[:start].astype(np.float16),
        "coupling_weights": np.rint(model.constants[start:] / COUPLING_UNIT).astype(np.int8),
        "limits": np.array([model.coupling_bits, model.heads, model.states], np.int64),
        "depth_damping": np.array([model.depth, model.damping]),
        "decoder": _text((model.decoder,)),
    }
    write_atomic(Path(path), pack_arrays(arrays))


def load(path: Path = SHIPPED) -> Model:
    """Read a model.

    Raises:
        FileNotFoundError: there is no such file.
        MalformedParameters: it is not one that `save` wrote, or it is damaged.
    """
    try:
        # From bytes: numpy leaves a file open that it cannot read.
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if _lines(arrays["schema"]) != (SCHEMA,):
            raise MalformedParameters(f"{path} has the schema {_lines(arrays['schema'])}; {_REMEDY} of this version")
        model = _model(arrays)
    except FileNotFoundError:
        raise
    except (KeyError, ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, MalformedParameters):
            raise
        raise MalformedParameters(f"{path} cannot be read ({type(error).__name__}: {error}); {_REMEDY}") from error
    _check(path, model)
    return model


def _model(arrays: dict[str, NDArray[np.generic]]) -> Model:
    tagger, coarse, charges, labels = (float(scale) for scale in arrays["scales"])
    coupling_bits, heads, states = (int(limit) for limit in arrays["limits"])
    depth, damping = (float(number) for number in arrays["depth_damping"])
    hashed = arrays["coupling_weights"].astype(np.float32) * np.float32(COUPLING_UNIT)
    return Model(
        Inventory(
            _lines(arrays["upos"]), _lines(arrays["fine"]), _lines(arrays["labels"]),
            arrays["first"].astype(np.int64), arrays["choices"].astype(np.int64),
        ),
        Table(arrays["tagger"].astype(np.int8), tagger),
        Table(arrays["coarse_weights"].astype(np.int8), coarse),
        Table(arrays["charge_weights"].astype(np.int8), charges),
        Table(arrays["label_weights"].astype(np.int8), labels),
        np.concatenate([arrays["constants"].astype(np.float32), hashed]),
        coupling_bits,
        heads,
        states,
        depth,
        damping,
        _lines(arrays["decoder"])[0],
    )  # fmt: skip


def _tables(model: Model) -> tuple[Table, Table, Table, Table]:
    return model.tagger, model.coarse, model.charges, model.labels


def _check(path: Path, model: Model) -> None:
    """Compiled code does not look where it reads, so sizes that do not fit would crash the process."""
    own, labels = model.inventory, len(model.inventory.labels)
    tables = [table.weights for table in _tables(model)]
    fits = (
        min(model.heads, model.states, model.coupling_bits) >= 1
        and len(own.upos) <= MOST_TAGS
        and all(len(table) == 1 << (len(table).bit_length() - 1) > 1 for table in tables)
        and [table.ndim for table in tables] == [1, 1, 1, 2]
        and model.labels.weights.shape[1] == labels >= 2
        and model.constants.shape == (hashed_start(model.sites) + (1 << model.coupling_bits),)
        and own.first.shape == (len(own.upos) + 2,)
        and own.first[0] == 0
        and bool((np.diff(own.first) >= 0).all())
        and own.first[-1] == own.choices.size
        and bool(((own.choices >= 0) & (own.choices < max(len(own.fine), 1))).all())
    )
    if not fits:
        raise MalformedParameters(f"{path} has arrays of sizes that do not fit each other; {_REMEDY}")


def _text(lines: tuple[str, ...]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode("utf-8"), dtype=np.uint8)


def _lines(text: NDArray[np.generic]) -> tuple[str, ...]:
    return tuple(text.tobytes().decode("utf-8").split("\n")) if text.size else ()
