# %% [markdown]
# Which penguin is it? Sixty thousand simulated birds of three species, a fitted model and two pictures.
# Run it cell by cell in an editor, or with `holdfast run examples/penguins.py --images pictures`.
# Then kill whatever you like and go on where you were.

# %% Measure the birds
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

random = np.random.default_rng(2026)

# Averages and spreads in the proportions of the birds of the Palmer Archipelago:
# bill length, bill depth and flipper length in millimetres, body mass in grams.
SPECIES = {
    "Adelie": ((38.8, 18.3, 190, 3700), (2.7, 1.2, 6.5, 460)),
    "Chinstrap": ((48.8, 18.4, 196, 3730), (3.3, 1.1, 7.1, 380)),
    "Gentoo": ((47.5, 15.0, 217, 5080), (3.1, 1.0, 6.5, 500)),
}
MEASURES = ["bill_length", "bill_depth", "flipper", "mass"]

flocks = []
for species, (means, spreads) in SPECIES.items():
    # Large birds are large all over: what the four measures have in common.
    stature = random.normal(size=(20_000, 1))
    own = random.normal(size=(20_000, 4))
    flock = pd.DataFrame(np.array(means) + np.array(spreads) * (0.6 * stature + 0.8 * own), columns=MEASURES)
    flocks.append(flock.assign(species=species))
birds = pd.concat(flocks, ignore_index=True).sample(frac=1, random_state=1, ignore_index=True)
birds.head()

# %% Lose some of the measurements, as happens in the field
gaps = random.random((len(birds), 4)) < 0.03
birds[MEASURES] = birds[MEASURES].mask(gaps)
birds.groupby("species")[MEASURES].agg(["mean", "count"]).round(1)

# %% Look at them
figure, axes = plt.subplots(figsize=(6.4, 4.8))
for species, flock in birds.groupby("species"):
    some = flock.sample(600, random_state=1)
    axes.scatter(some["bill_length"], some["bill_depth"], s=6, alpha=0.5, label=species)
axes.set(xlabel="bill length (mm)", ylabel="bill depth (mm)", title="Two measures tell most of it")
axes.legend()
plt.show()

# %% Set some birds aside for the test
train, test = train_test_split(birds, test_size=0.25, random_state=3, stratify=birds["species"])
print(f"{len(train):,} birds to learn from, {len(test):,} to be tested on")

# %% Fit gradient boosting, one tree depth after the other (takes a while)
boosted = {}
for depth in (1, 2, 3, 4):
    started = time.perf_counter()
    model = HistGradientBoostingClassifier(max_depth=depth, max_iter=80, random_state=0)
    model.fit(train[MEASURES], train["species"])
    boosted[depth] = model
    accuracy = model.score(test[MEASURES], test["species"])
    print(f"depth {depth}: {accuracy:.4f} right, {time.perf_counter() - started:.1f} s", flush=True)

# %% Fit a forest on the birds with all measurements (takes a while, too)
whole = train.dropna()
forest = RandomForestClassifier(n_estimators=120, min_samples_leaf=5, n_jobs=1, random_state=0)
forest.fit(whole[MEASURES], whole["species"])
print(f"{forest.score(test.dropna()[MEASURES], test.dropna()['species']):.4f} right")

# %% Which measurements matter?
best = max(boosted.values(), key=lambda model: model.score(test[MEASURES], test["species"]))
sample = test.sample(4000, random_state=5)
weight = permutation_importance(best, sample[MEASURES], sample["species"], n_repeats=5, random_state=0)
importance = pd.Series(weight.importances_mean, index=MEASURES).sort_values()
importance.round(3)

# %% Draw what is taken for what
table = confusion_matrix(test["species"], best.predict(test[MEASURES]), labels=list(SPECIES))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.imshow(np.log1p(table), cmap="Blues")
for (row, column), birds_there in np.ndenumerate(table):
    left.text(column, row, f"{birds_there:,}", ha="center", va="center")
left.set(xticks=range(3), yticks=range(3), xticklabels=SPECIES, yticklabels=SPECIES, title="it is ↓, taken for →")
importance.plot.barh(ax=right, title="accuracy lost without …")
plt.show()
