"""How large servers are made: memory in proportion to the rows."""

from dataclasses import replace

import pyarrow as pa
import pytest

from lab import sizing
from lab.model import Lab, Production
from tests.samples import scenario

MB = 2**20
THERE = Production(rows_per_day=1000, keep_days=10, memory_bytes=6400 * MB, shared_buffers_bytes=1600 * MB)


class Rows:
    """A hundred megabytes of rows, as many as production has in a tenth of its days."""

    rows = 1000

    def batches(self, first, last):
        yield pa.record_batch([pa.nulls(last - first, pa.binary(100 * MB // 1000))], names=["a"])


def memory(**lab):
    """The settings in which memory is said, for rows of 200 MB with their indexes."""
    return sizing.memory(replace(scenario(), production=THERE, lab=Lab(**lab)), [Rows()])


@pytest.mark.parametrize(
    ("lab", "buffers", "cache"),
    [
        ({}, 400, 1600),  # in memory: twice the data; effective_cache_size as production has it to shared_buffers
        ({"data_to_memory": 4.0}, 50, 200),
        ({"data_to_memory": "as production"}, 160, 640),  # a tenth of the rows, a tenth of the shared buffers
        ({"strict": True}, 400, 400),
        ({"strict": True, "data_to_memory": 4.0}, 50, 50),
        ({"strict": True, "data_to_memory": "as production"}, 640, 640),  # a tenth of all memory
    ],
)
def test_memory_is_in_proportion_to_the_rows(lab, buffers, cache):
    found = memory(**lab)
    assert int(found["shared_buffers"].removesuffix("MB")) == pytest.approx(buffers, rel=0.02)
    assert int(found["effective_cache_size"].removesuffix("MB")) == pytest.approx(cache, rel=0.02)


def test_strict_memory_passes_the_operating_systems_cache_by():
    assert memory(strict=True)["debug_io_direct"] == "data"
    assert "debug_io_direct" not in memory()
