"""Inputs of a model that together hold every value of every field, and every pair of small ones.

A pair that the model's rules exclude has no inputs: it is counted, not tried. A value that no
inputs can hold is a mistake of the document, and is told.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from generation_svc.catalog import validate_inputs
from generation_svc.catalog.example import example, field_value, relate
from generation_svc.domain.error import InvalidInputs
from generation_svc.domain.model import Model
from generation_svc.domain.schema import JsonObject
from tests.e2e.every_model.value import ABSENT, Values, values_of

Goal = frozenset[tuple[str, int]]
"""Fields, each with the number of its value: one, or a pair."""
_TRIES = 10
_VALUE_TRIES = 150
_MENDS = 12
_FULL_ROUNDS = 4
_SHARES = (0.0, 0.2, 0.5)


@dataclass
class Plan:
    """What a model is tried with."""

    cases: list[JsonObject] = field(default_factory=list)
    goal_count: int = 0
    excluded_count: int = 0
    """The pairs that the rules exclude."""
    unreached: list[str] = field(default_factory=list)
    """The values that no inputs hold."""


def required_only(model: Model) -> JsonObject:
    """Return the smallest inputs that people are offered."""
    made = (example(model, random.Random(seed)) for seed in range(1, _VALUE_TRIES))
    found = next((each for each in made if each and _is_offered(model, each)), None)
    assert found is not None, f"{model.id} takes no inputs"
    return found


def fullest(model: Model, rng: random.Random) -> JsonObject:
    """Return inputs with as many fields as the rules allow together, all of them on offer."""
    shares = (1.0, 1.0, 1.0, 1.0, 0.9, 0.8) * _FULL_ROUNDS
    made = [example(model, rng, share=share) for share in shares]
    offered = (each for each in made if each and _is_offered(model, each))
    return max(offered, key=len, default=required_only(model))


def _is_offered(model: Model, inputs: JsonObject) -> bool:
    """Return whether every choice is one that people are offered; older ones are only taken."""
    past = {
        (option.field, _key(choice.value))
        for option in model.options
        for choice in option.choices
        if not choice.is_current
    }
    return not past & {(name, _key(value)) for name, value in inputs.items()}


def planned(model: Model, rng: random.Random) -> Plan:
    """Return few inputs that reach every goal which can be reached."""
    return _Planner(model, rng).plan()


class _Planner:
    def __init__(self, model: Model, rng: random.Random) -> None:
        self._model, self._rng = model, rng
        self._values = {each.field: each for each in values_of(model, rng)}
        self._number = {
            name: {_key(value): number for number, value in enumerate(each.all)}
            for name, each in self._values.items()
        }
        # In a list and a set: what is taken next must not depend on hashes.
        self._goals = [*_goals(self._values.values())]
        self._open = set(self._goals)

    def plan(self) -> Plan:
        plan = Plan(goal_count=len(self._goals))
        for goal in self._goals:
            if goal not in self._open:
                continue
            made = self._reach(goal)
            if made is not None:
                plan.cases.append(self._extended(made, goal))
            elif len(goal) == 1:
                plan.unreached.append(self._spelled(goal))
            else:
                plan.excluded_count += 1
            self._open.discard(goal)
        return plan

    def _reach(self, goal: Goal) -> JsonObject | None:
        pins = {name: self._values[name].all[number] for name, number in goal}
        # A pair may well be excluded; a value is not, and is worth looking for.
        for number in range(_TRIES if len(goal) > 1 else _VALUE_TRIES):
            share = _SHARES[number % len(_SHARES)]
            base = example(self._model, self._rng, share=share)
            if base is not None and (made := self._mended(_with(base, pins), pins)) is not None:
                return made
        return None

    def _mended(self, made: JsonObject, pins: Mapping[str, Any]) -> JsonObject | None:
        """Change what is not pinned until the inputs keep every rule."""
        for _ in range(_MENDS):
            relate(self._model, made, rng=self._rng)
            wrong = _wrong_fields(self._model, made)
            if not wrong:
                return made
            loose = [name for name in wrong if name not in pins]
            if not loose:
                loose = [name for name in made if name not in pins]
            if not loose:
                return None
            self._change(made, self._rng.choice(sorted(loose)))
        return None

    def _change(self, made: JsonObject, name: str) -> None:
        is_optional = name not in self._model.required
        if name in made and is_optional and self._rng.random() < 0.6:
            del made[name]
        elif name in self._model.properties:
            made[name] = field_value(self._model, name, rng=self._rng)

    def _extended(self, made: JsonObject, goal: Goal) -> JsonObject:
        """Give the other fields the values that reach the most goals."""
        pinned = {name for name, _ in goal}
        names = [name for name in self._values if name not in pinned]
        self._rng.shuffle(names)
        for name in names:
            for value in self._promising(made, name):
                trial = _with(made, {name: value})
                if not _wrong_fields(self._model, trial):
                    made = trial
                    break
        self._open -= {*_reached(self._numbers(made))}
        return made

    def _promising(self, made: JsonObject, name: str) -> list[Any]:
        """Return the values of a field that would reach goals, the best first; at most two."""
        numbers = {n: each for n, each in self._numbers(made).items() if n != name}
        gains = []
        for number, value in enumerate(self._values[name].all):
            own = (name, number)
            goals = [frozenset({own}), *(frozenset({own, each}) for each in numbers.items())]
            gains.append((sum(goal in self._open for goal in goals), -number, value))
        best = sorted(gains, key=lambda gain: gain[:2], reverse=True)[:2]
        return [value for gain, _, value in best if gain]

    def _numbers(self, made: JsonObject) -> dict[str, int]:
        """Return which of its values each field has."""
        found = {
            name: self._number[name].get(_key(made.get(name, ABSENT))) for name in self._values
        }
        return {name: number for name, number in found.items() if number is not None}

    def _spelled(self, goal: Goal) -> str:
        return " and ".join(f"{name}={self._values[name].all[n]!r:.40}" for name, n in goal)


def _goals(values: Any) -> Iterator[Goal]:
    fields: list[Values] = list(values)
    for one, other in combinations(fields, 2):
        for first in range(len(one.small)):
            for second in range(len(other.small)):
                yield frozenset({(one.field, first), (other.field, second)})
    for each in fields:
        yield from (frozenset({(each.field, number)}) for number in range(len(each.all)))


def _reached(numbers: Mapping[str, int]) -> Iterator[Goal]:
    yield from (frozenset({each}) for each in numbers.items())
    yield from (frozenset(pair) for pair in combinations(numbers.items(), 2))


def _with(made: JsonObject, values: Mapping[str, Any]) -> JsonObject:
    changed = deepcopy(made)
    for name, value in values.items():
        changed.pop(name, None)
        if value is not ABSENT:
            changed[name] = deepcopy(value)
    return changed


def _wrong_fields(model: Model, made: JsonObject) -> set[str]:
    """Return the fields that are wrong; `` stands for the inputs as a whole."""
    try:
        validate_inputs(model, made)
    except InvalidInputs as error:
        paths = (each.field.removeprefix("inputs").lstrip(".") for each in error.violations)
        return {path.partition("[")[0].partition(".")[0] for path in paths} or {""}
    return set()


def _key(value: Any) -> str:
    return "absent" if value is ABSENT else json.dumps(value, sort_keys=True)
