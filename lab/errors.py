"""Everything the lab raises on purpose.

* LabError
  - ScenarioError     a file under scenarios/ or workloads/ is wrong; the author can fix it
  - PlaceError        the machine lacks something: a program, room on the disk, a right
  - ClusterError      a topology could not be brought up, or stopped answering
  - IngestError       a candidate's DDL or COPY was refused by the server
  - DriverError       the load generator failed; what the database failed at is data, not this
  - RecordError       something under results/ is missing, foreign or of another format

A query that fails while load is being driven is not an error: it is an operation
whose outcome is `failed`, because failing is one of the things a candidate can do.
Anything that is none of these is a bug and keeps its traceback.

The form of a message is `where: what is wrong (what would be right)`.
"""

from collections.abc import Sequence


class LabError(Exception):
    """One message for the user, no traceback. *status* is the exit status of the command."""

    status = 2


class ScenarioError(LabError):
    """All independent mistakes of the files a scenario is made of, one line each.

    >>> print(ScenarioError(["s.yaml:3: profile: unknown", "s.yaml:7: topology: unknown"]))
    s.yaml:3: profile: unknown
    s.yaml:7: topology: unknown
    """

    def __init__(self, mistakes: Sequence[str] | str) -> None:
        self.mistakes = (mistakes,) if isinstance(mistakes, str) else tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class PlaceError(LabError):
    """The machine lacks something the run needs; the message names how to get it."""

    status = 3


class ClusterError(LabError):
    """A topology could not be brought up, or stopped answering."""

    status = 3


class IngestError(LabError):
    """A candidate's schema, rows or steps were refused by the server: the author's mistake."""


class DriverError(LabError):
    """The load generator itself failed."""

    status = 3


class RecordError(LabError):
    """Something under results/ is missing, foreign or of another format."""
