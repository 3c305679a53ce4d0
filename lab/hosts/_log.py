"""What a server said last, in one line."""

from pathlib import Path


def last_words(log: Path) -> str:
    """The last lines of a log that matter, in one line."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    told = [line.strip() for line in lines if line.strip()]
    worst = [line for line in told if "FATAL" in line or "PANIC" in line] or told
    return " / ".join(worst[-2:]) or "it left no log"
