"""Study 06: what a model's answers add to those of a few people, with valid intervals."""

from simkit.estimators.mixed.means import mixed_mean

__all__ = ["mixed_mean"]


def __dir__() -> list[str]:
    return __all__
