# %% [markdown]
# Two years of bike rentals, with the standard library only.

# %% Make two years of bike rentals
import dataclasses
import datetime
import math
import random
import statistics

random.seed(7)


@dataclasses.dataclass
class Day:
    """One day: how warm it was, and how many bikes were rented."""

    when: datetime.date
    warmth: float
    rentals: int


def make(number: int) -> Day:
    """Return a day of a year that is warmest in July."""
    warmth = 11 - 10 * math.cos(2 * math.pi * number / 365) + random.gauss(0, 3)
    rentals = round(40 + 12 * warmth + random.gauss(0, 40))
    return Day(datetime.date(2024, 1, 1) + datetime.timedelta(number), warmth, max(0, rentals))


days = [make(number) for number in range(730)]
print(f"{len(days)} days, {sum(day.rentals for day in days):,} rentals")

# %% Pick a summer out of them
summer = [day for day in days if (day.when.year, day.when.month) == (2025, 7)]
print(f"July 2025: {statistics.fmean(day.rentals for day in summer):.0f} rentals a day")


# %% Search for a model, a class made on the spot (takes a few seconds)
class Line:
    """Rentals as a straight line over warmth."""

    def __init__(self, base: float, slope: float) -> None:
        self.base, self.slope = base, slope

    def error(self) -> float:
        """Return how far off the line is on average; `days` is looked up in the session."""
        return statistics.fmean(abs(self.base + self.slope * day.warmth - day.rentals) for day in days)


best = Line(0.0, 0.0)
favourite = {"model": best}
lowest = best.error()
for attempt in range(1, 40_001):
    trial = Line(best.base + random.gauss(0, 0.02), best.slope + random.gauss(0, 0.001))
    if (error := trial.error()) < lowest:
        lowest, best.base, best.slope = error, trial.base, trial.slope
    if attempt % 8000 == 0:
        print(f"after {attempt:,} attempts: off by {lowest:.1f} rentals a day")

# %% Ask how sure it is, on days drawn at random (takes a few seconds)
slopes: list[float] = []
while len(slopes) < 3600:
    for _ in range(600):
        drawn = random.choices(days, k=len(days))
        slopes.append(statistics.linear_regression([day.warmth for day in drawn], [day.rentals for day in drawn]).slope)
    print(f"{len(slopes):,} lines: {statistics.fmean(slopes):.2f} ± {statistics.stdev(slopes):.2f} rentals per °C")

# %% What came out
print(f"rentals ≈ {best.base:.0f} + {best.slope:.1f} × °C, off by {best.error():.1f} a day")

# %% And what is still the same
print("the model in the dict is the model:", favourite["model"] is best)
print("it is still a Line:", isinstance(best, Line))
print("July's days are the days of the list:", all(any(day is other for other in days) for day in summer))
