"""The errors of this package. Each subclasses a built-in, so that plain `except ValueError` keeps working."""

from __future__ import annotations


class RulesError(ValueError):
    """The table of rules contradicts itself or has the wrong shape."""


class ShapeError(ValueError):
    """A tensor has a shape that does not fit the others or the plan."""


class ClassRangeError(ValueError):
    """A class id lies outside [0, C)."""


class DtypeError(TypeError):
    """A tensor has a dtype that the call does not take, or dtypes are mixed."""


class DeviceError(ValueError):
    """Tensors, or a tensor and the plan, live on different devices."""


class NonFiniteError(ValueError):
    """An input holds NaN or infinity."""


class BackendUnavailable(ImportError):
    """The backend that was named cannot run here. A named backend never falls back."""


class UnsupportedError(NotImplementedError):
    """The call asks for something that no backend, or not the named one, computes."""
