# %% [markdown]
# Two years of bike rentals, with numpy and pandas.

# %% Make two years of bike rentals
import numpy as np
import pandas as pd

random = np.random.default_rng(7)
hours = pd.date_range("2024-01-01", "2025-12-31 23:00", freq="h")
warmth = 11 - 10 * np.cos(2 * np.pi * hours.day_of_year / 365) + random.normal(0, 3, len(hours))
rush = np.exp(-(((hours.hour.to_numpy() - 17) / 4) ** 2))
rentals = random.poisson(np.clip(2 + 1.5 * warmth, 0.5, None) * (0.2 + rush))
bikes = pd.DataFrame({"warmth": warmth, "rush": rush, "rentals": rentals}, index=hours)
print(f"{len(bikes):,} hours, {bikes['rentals'].sum():,} rentals")

# %% Group them by month
months = bikes.resample("MS").agg({"rentals": "sum", "warmth": "mean"}).round(1)
months.tail(4)


# %% Train a model, a class made on the spot (takes a few seconds)
class Line:
    """Rentals as a linear function of some columns."""

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self.weights = np.zeros(len(columns) + 1)

    def miss(self) -> np.ndarray:
        """Return by how much the model misses each hour; `bikes` is looked up in the session."""
        design = np.column_stack([np.ones(len(bikes)), bikes[self.columns]])
        return np.asarray(design @ self.weights - bikes["rentals"])

    def error(self) -> float:
        """Return the root of the mean square of what it misses."""
        return float(np.sqrt(np.mean(self.miss() ** 2)))


best = Line(["warmth", "rush"])
slopes = best.weights[1:]  # a view: it shares its memory with the model
design = np.column_stack([np.ones(len(bikes)), bikes[best.columns]])
for step in range(1, 10_001):
    best.weights -= 0.003 * (design * [1, 0.05, 1]).T @ best.miss() / len(bikes)
    if step % 2000 == 0:
        print(f"after {step:,} steps: off by {best.error():.3f} rentals an hour")

# %% Ask how sure it is, on hours drawn at random (takes a few seconds)
fits: list[np.ndarray] = []
while len(fits) < 2400:
    for _ in range(400):
        drawn = bikes.sample(12_000, replace=True, random_state=random)
        columns = np.column_stack([np.ones(len(drawn)), drawn[best.columns]])
        fits.append(np.linalg.lstsq(columns, drawn["rentals"], rcond=None)[0])
    print(f"{len(fits):,} fits: {np.mean(fits, axis=0)[1]:.4f} ± {np.std(fits, axis=0)[1]:.4f} rentals per °C")

# %% What came out
spread = pd.DataFrame(fits, columns=["base", *best.columns]).describe().loc[["mean", "std"]].round(3)
spread.transpose()

# %% And what is still the same
print("the slopes share the model's memory:", np.shares_memory(slopes, best.weights))
print("the model is still a Line:", isinstance(best, Line))
print("it still finds the frame:", round(best.error(), 3))
