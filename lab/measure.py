"""Operations and facts of a stored run -> Measurements."""

from collections.abc import Sequence

from lab.model import Measurement, Prepared, Requirement, Slice


def measure(
    slices: Sequence[Slice], prepared: Sequence[Prepared] = (), requirements: Sequence[Requirement] = ()
) -> list[Measurement]:
    """Every metric of metrics.TABLE that these trials and instances allow."""
    raise NotImplementedError


def exact(values: Sequence[float]) -> bool:
    """Whether the passes repeat within a thousandth."""
    raise NotImplementedError
