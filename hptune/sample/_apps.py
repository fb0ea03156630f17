"""Apps: popularity, labels, and which groups use them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from hptune.sample._draws import Array, Rng, draw, random_ids, standardised, zipf
from hptune.sample._groups import AXES
from hptune.sample._names import category_texts
from hptune.sample._sizes import Sizes

__all__ = ["LABELS", "Catalogue", "app_catalogue"]

LABELS, _TEXTS, _MISSING = 930, 836, 3
# Popularity-weighted spread of the preferences along each axis of `AXES`.
_SPREAD = np.array([0.168, 0.22, 0.068, 0.068])


@dataclass(frozen=True)
class Catalogue:
    """All labelled apps; those that devices use come first, in order of popularity.

    Parameters
    ----------
    ids : ndarray of int64, shape (n_labelled_apps,)
        App ids.
    by_group : ndarray of shape (n_apps, 12)
        Chance of each used app in each group; columns sum to 1.
    app_labels : ndarray of int64, shape (n_rows, 2)
        App index and label id of each row of the label file.
    label_ids, categories : ndarray of shape (930,)
        The table of labels; a missing category is None.
    """

    ids: Array
    by_group: Array
    app_labels: Array
    label_ids: Array
    categories: Array


def app_catalogue(rng: Rng, sizes: Sizes) -> Catalogue:
    """A catalogue whose preferences come from labels and single apps."""
    label_ids = np.sort(rng.choice(np.arange(1, 1_022), LABELS, replace=False))
    categories = category_texts(rng, LABELS - _MISSING, _TEXTS)
    categories = rng.permutation(np.concatenate([categories, np.full(_MISSING, None)]))
    pairs = _label_rows(rng, sizes)
    used = rng.choice(LABELS, sizes.labels, replace=False)
    return Catalogue(
        ids=random_ids(rng, sizes.labelled_apps),
        by_group=_by_group(rng, sizes, pairs),
        app_labels=np.stack([pairs[:, 0], label_ids[used][pairs[:, 1]]], axis=1),
        label_ids=label_ids,
        categories=categories,
    )


def _label_rows(rng: Rng, sizes: Sizes) -> Array:
    """(app, label) pairs: one for each app, then different further ones until the file is full."""
    popularity = zipf(sizes.labels, 0.9, 3.0)
    first = np.stack([np.arange(sizes.labelled_apps), _every_label(rng, popularity, sizes)], axis=1)
    wanted = sizes.label_rows - sizes.labelled_apps
    keys = np.empty(0, dtype=np.int64)
    taken = first @ [sizes.labels, 1]
    while len(keys) < wanted:
        apps = rng.integers(0, sizes.labelled_apps, wanted)
        more = np.unique(apps * sizes.labels + draw(rng, popularity, wanted))
        keys = np.union1d(keys, np.setdiff1d(more, taken))
    keys = rng.choice(keys, wanted, replace=False)
    rest = np.stack(np.divmod(keys, sizes.labels), axis=1)
    return rng.permutation(np.concatenate([first, rest]))


def _every_label(rng: Rng, popularity: Array, sizes: Sizes) -> Array:
    """One label an app, by popularity, with each label at least once where there are enough apps."""
    labels = draw(rng, popularity, sizes.labelled_apps)
    n = min(sizes.labels, sizes.labelled_apps)
    labels[rng.choice(sizes.labelled_apps, n, replace=False)] = np.arange(n)
    return labels


def _by_group(rng: Rng, sizes: Sizes, pairs: Array) -> Array:
    """Chance of each used app in each group: half of the preferences are the labels', half the app's own."""
    n_axes = AXES.shape[1]
    app, label = pairs[pairs[:, 0] < sizes.apps].T
    carries = sp.csr_array((np.ones(len(app)), (app, label)), shape=(sizes.apps, sizes.labels))
    of_labels = carries @ rng.normal(size=(sizes.labels, n_axes)) / np.sqrt(carries.sum(axis=1))[:, None]
    taste = of_labels + rng.normal(size=of_labels.shape)
    popularity = zipf(sizes.apps, 1.15, 4.0)
    liking = np.exp(sizes.strength * (_SPREAD * standardised(taste, popularity)) @ AXES.T)
    chance = popularity[:, None] * liking
    shares: Array = chance / chance.sum(axis=0)
    return shares
