"""The PostgreSQL architecture lab: a scenario in, an evidence-backed plan out."""

__version__ = "0.1.0"
