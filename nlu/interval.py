"""How sure a share is: used by both environments, so standard library only."""

from math import sqrt

CERTAIN = 1.96
"""So many standard errors on both sides hold 95 %."""


def wilson(right: float, of: float) -> tuple[float, float]:
    """Between which shares, 0 to 1, the true one lies 95 times in 100 (Wilson 1927)."""
    share, z = right / of, CERTAIN
    whole = 1 + z**2 / of
    middle = (share + z**2 / (2 * of)) / whole
    half = z * sqrt(share * (1 - share) / of + z**2 / (4 * of**2)) / whole
    return max(0.0, middle - half), min(1.0, middle + half)
