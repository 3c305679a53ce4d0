"""How the rows of a prepared instance are spread: over servers and copies, databases, partitions."""

from collections.abc import Mapping, Sequence

from lab.model import Prepared


def copies(one: Prepared) -> float:
    """How often each row is there: once, and again on every standby."""
    return float(servers(one) / (servers(one) - one.report.get("standbys", 0)))


def servers(one: Prepared) -> int:
    return len(one.report.get("sizes", (None,)))


def largest(one: Prepared) -> float:
    """The share of all bytes that the server with the most of them has: a cache is one server's."""
    each = [sum(of_server.values()) for of_server in one.report.get("sizes", {}).values()]
    return float(max(each) / sum(each)) if any(each) else 1.0


def partitions(one: Prepared) -> int | None:
    found = one.report.get("partitions")
    return max(1, int(found)) if found is not None else None


def databases(one: Prepared) -> int:
    """Over how many databases the rows of a table are spread."""
    return int(one.report.get("databases", {}).get("count", 1))


def value(known: Mapping[str, Sequence[float]], metric: str) -> float | None:
    values = known.get(metric)
    return values[-1] if values else None
