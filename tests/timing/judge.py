"""What can be said of a difference between two classes of times.

The times of each class are cut into stretches of rounds that follow each other. In each stretch the class is compared with
the reference by two figures that a few slow answers do not move: the mean of the middle half, and the mean from the 5th to
the 25th percentile, where the least noise is. The differences of the stretches are many values that hardly depend on each
other, with a mean and an interval for it (batch means). All intervals of a run hold together with `CONFIDENCE`: each is as
much wider as there are more of them (Bonferroni).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev

CONFIDENCE = 0.999
STRETCHES = 100


@dataclass(frozen=True)
class Interval:
    """Where a difference lies, in nanoseconds."""

    mean: float
    half: float

    def excludes_zero(self):
        return abs(self.mean) > self.half

    def is_within(self, bound):
        return abs(self.mean) + self.half <= bound

    def is_outside(self, bound):
        return abs(self.mean) - self.half > bound

    def __str__(self):
        return f"{self.mean:+.0f} ± {self.half:.0f}"


def middle(ordered):
    return fmean(ordered[len(ordered) // 4 : math.ceil(len(ordered) * 3 / 4)])


def low(ordered):
    return fmean(ordered[len(ordered) // 20 : max(len(ordered) // 20 + 1, len(ordered) // 4)])


def stretches(times):
    """These times in order of their size, for each stretch."""
    size = len(times) // STRETCHES
    return [sorted(times[at : at + size]) for at in range(0, size * STRETCHES, size)]


def compare(times, reference, figure, comparisons):
    """The interval for how much longer one class takes than another, by a figure, if so many are asked for at once."""
    pairs = zip(stretches(times), stretches(reference), strict=True)
    differences = [figure(own) - figure(others) for own, others in pairs]
    error = stdev(differences) / math.sqrt(len(differences))
    return Interval(fmean(differences), error * NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / comparisons))


def summary(times):
    ordered = sorted(times)
    return len(times), median(ordered), middle(ordered)
