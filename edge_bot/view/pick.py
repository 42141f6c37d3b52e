"""The choice of three models of a purpose: the cheapest, the fastest, the best."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeAlias

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.catalog import localised
from edge_bot.view.language import Texts
from edge_bot.view.model_field import least_credits

_FAST = ("turbo", "fast", "lite", "flash", "mini", "instant")
_BEST = ("ultra", "master", "pro", "max", "prime", "omni")
_DEAR = Decimal(10**9)

Pick: TypeAlias = tuple[str, pb.Model]
"""A mark and the model that it stands before."""

_Rank: TypeAlias = tuple[float | Decimal, ...]


def three_picks(speak: Texts, models: Sequence[pb.Model]) -> list[Pick]:
    """Choose three different models, each for a reason of its own; all if there are few."""
    if len(models) <= 3:
        return [("", each) for each in models]
    is_priced = any(least_credits(each) is not None for each in models)
    is_timed = any(each.HasField("usual_duration") or _is_fast(each) for each in models)
    wanted: tuple[tuple[str, Callable[[pb.Model], _Rank]], ...] = (
        (speak.plain("💰 cheapest") if is_priced else "", _cheapness),
        (speak.plain("⚡️ fastest") if is_timed else "", _speed),
        (speak.plain("🏆 best"), _quality),
    )
    left, picks = list(models), []
    for mark, rank in wanted:
        chosen = min(left, key=lambda each: (_is_doing_badly(each), *rank(each)))
        left.remove(chosen)
        picks.append((mark, chosen))
    return picks


def _is_doing_badly(model: pb.Model) -> bool:
    """Tell whether nobody should be led to it at the moment."""
    return model.state in (pb.MODEL_STATE_SLOW, pb.MODEL_STATE_FAILING)


def _cheapness(model: pb.Model) -> _Rank:
    least = least_credits(model)
    return (_DEAR if least is None else least,)


def _speed(model: pb.Model) -> _Rank:
    usual_s = model.usual_duration.ToTimedelta().total_seconds()
    version = _version(_tier_words(model))
    return (usual_s or 86400.0, 0 if _is_fast(model) else 1, -version)


def _is_fast(model: pb.Model) -> bool:
    """Tell whether its name says so."""
    return any(word in _tier_words(model) for word in _FAST)


def _quality(model: pb.Model) -> _Rank:
    tier = _tier_words(model)
    is_best = any(word in tier.split() for word in _BEST)
    is_small = _is_fast(model)
    dear = least_credits(model) or Decimal(0)
    return (1 if is_small else 0, 0 if is_best else 1, -_version(tier), -dear)


def _tier_words(model: pb.Model) -> str:
    return f"{model.tier} {localised(model.titles, 'en')}".casefold()


def _version(tier: str) -> float:
    numbers = re.findall(r"\d+(?:\.\d+)?", tier)
    return max((float(each) for each in numbers if float(each) < 100), default=0.0)
