"""The phone market: brands, models, and which groups own them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptune.sample._draws import Array, Rng, quota, standardised, zipf
from hptune.sample._groups import AXES, IS_MALE, SHARES
from hptune.sample._names import HEAD_BRANDS, brand_names, model_names
from hptune.sample._sizes import Sizes

__all__ = ["Market", "phone_market"]

# Popularity-weighted spread of the preferences along each axis of `AXES`, and the part of brands in it.
_SPREAD = np.array([0.195, 0.26, 0.075, 0.075])
_BRAND_WEIGHT = 0.5
_FITTING_ROUNDS = 40
_SHARED = 0.03  # share inside its brand of a model whose name another brand had first
_RAREST = 2.5e-5  # a rarer model would not be seen at all in most samples


@dataclass(frozen=True)
class Market:
    """Every (brand, model) pair on sale and its chance in each group.

    Parameters
    ----------
    brands, models : ndarray of str, shape (n_pairs,)
        Names of each pair.
    by_group : ndarray of shape (n_pairs, 12)
        Joint probability of pair and group, sum 1.
    """

    brands: Array
    models: Array
    by_group: Array


def phone_market(rng: Rng, sizes: Sizes) -> Market:
    """A market with known brand and group shares."""
    brands = brand_names(sizes.brands)
    counts = _models_per_brand(sizes)
    names = model_names(rng, brands, counts)
    popularity = [0.97 * zipf(len(own), 2.4, 6.0) + 0.03 / len(own) for own in names]
    brand_of = np.repeat(np.arange(len(brands)), counts)
    extra_brand, extra_name = _shared_names(rng, counts, sizes.shared_models)
    share = np.concatenate([*popularity, np.full(len(extra_brand), _SHARED)])
    brand_of = np.concatenate([brand_of, extra_brand])
    share *= (_brand_shares(len(brands)) / np.bincount(brand_of, share))[brand_of]
    share = np.maximum(share, _RAREST) / np.maximum(share, _RAREST).sum()
    flat = np.array([name for own in names for name in own], dtype=object)
    return Market(
        brands=np.array(brands, dtype=object)[brand_of],
        models=np.concatenate([flat, flat[extra_name]]),
        by_group=_fit(_affinity(rng, brand_of, share, sizes.strength), share, brand_of),
    )


def _brand_shares(n: int) -> Array:
    head = np.array([brand.percent for brand in HEAD_BRANDS.values()])
    tail = zipf(n - len(head), 1.6, 8.0) * (100 - head.sum())
    return np.concatenate([head, tail]) / 100


def _models_per_brand(sizes: Sizes) -> Array:
    head = np.array([brand.models for brand in HEAD_BRANDS.values()], dtype=float)
    tail = zipf(sizes.brands - len(head), 0.8, 2.0) * (1_599 - head.sum())
    return 1 + quota(np.concatenate([head, tail]), sizes.models - sizes.brands)


def _shared_names(rng: Rng, counts: Array, n: int) -> tuple[Array, Array]:
    """Brand and name index of the further owners of `n` names: most have one, some two or three."""
    owner = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts) - 1  # the last names of a brand are plain codes, which brands do share
    names = rng.choice(ends, size=min(n, len(ends)), replace=False)
    names = np.resize(np.concatenate([names, ends[counts > 30] - 1, ends[counts > 30] - 2]), n)
    owners = 1 + (rng.random(n) < 0.2) + (rng.random(n) < 0.05)
    names = np.repeat(names, owners)
    step = np.concatenate([np.arange(1, k + 1) for k in owners])
    return (owner[names] + step) % len(counts), names


def _affinity(rng: Rng, brand_of: Array, share: Array, strength: float) -> Array:
    """How much more than others each group likes a pair: partly the brand's doing, partly the model's."""
    n_axes = AXES.shape[1]
    taste = _BRAND_WEIGHT * rng.normal(size=(len(brand_of), n_axes))[brand_of]
    taste += rng.normal(size=taste.shape)
    liking: Array = np.exp(strength * (_SPREAD * standardised(taste, share)) @ AXES.T)
    return liking


def _fit(affinity: Array, share: Array, brand_of: Array) -> Array:
    """Scale `affinity` until pairs, groups and the known brands' genders have their shares (IPF)."""
    joint = affinity * share[:, None] * SHARES
    for _ in range(_FITTING_ROUNDS):
        for code, brand in enumerate(HEAD_BRANDS.values()):
            if brand.male is not None:
                _set_male_share(joint, np.flatnonzero(brand_of == code), brand.male)
        joint *= SHARES / joint.sum(axis=0)
        joint *= (share / joint.sum(axis=1))[:, None]
    return joint


def _set_male_share(joint: Array, rows: Array, male: float) -> None:
    now = joint[rows][:, IS_MALE].sum() / joint[rows].sum()
    joint[rows] *= np.where(IS_MALE, male / now, (1 - male) / (1 - now))
