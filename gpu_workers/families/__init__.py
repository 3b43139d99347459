"""Families of models by name."""

from collections.abc import Mapping
from types import MappingProxyType

from gpu_workers.families.boosting import BoostedTrees
from gpu_workers.families.deep_boosting import DeepBoosting
from gpu_workers.families.family import Family
from gpu_workers.families.features import Nystroem, RandomFeatures
from gpu_workers.families.kernel_ridge import KernelRidge
from gpu_workers.families.logistic import Logistic
from gpu_workers.families.mlp import Mlp
from gpu_workers.families.naive_bayes import BernoulliNaiveBayes, GaussianNaiveBayes, MultinomialNaiveBayes
from gpu_workers.families.neighbours import Neighbours
from gpu_workers.families.ridge import Ridge

_ALL: tuple[Family, ...] = (
    Ridge(),
    Logistic(),
    GaussianNaiveBayes(),
    MultinomialNaiveBayes(),
    BernoulliNaiveBayes(),
    Neighbours(),
    KernelRidge(),
    Nystroem(),
    RandomFeatures(),
    Mlp(),
    BoostedTrees(),
    DeepBoosting(),
)

FAMILIES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _ALL})
"""Every family by its name."""
