"""How messages, tables and captions say things in words."""


def plural(count: int, noun: str) -> str:
    """Count things.

    Examples
    --------
    >>> plural(1, "unit"), plural(12000, "run")
    ('1 unit', '12,000 runs')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
