"""Builds the SQL of a page of jobs with only the given conditions, which helps the planner."""

from typing import Any
from uuid import UUID

from psycopg import sql

from generation_svc.domain.job_filter import Condition, JobField, JobFilter, Operator
from generation_svc.storage.kept_result import KEPT_COLUMN

_KEPT = sql.SQL(KEPT_COLUMN)
_COLUMNS = {field: sql.Identifier(field.value) for field in JobField}
_OPERATORS = {
    Operator.EQUAL: sql.SQL("="),
    Operator.UNEQUAL: sql.SQL("<>"),
    Operator.BELOW: sql.SQL("<"),
    Operator.AT_MOST: sql.SQL("<="),
    Operator.ABOVE: sql.SQL(">"),
    Operator.AT_LEAST: sql.SQL(">="),
}
_FIXED: dict[str, sql.Composable] = {
    "caller": sql.SQL("caller = %(caller)s"),
    "owner": sql.SQL("owner = %(owner)s"),
    "before": sql.SQL("id < %(before)s"),
}


def page_statement(
    *, caller: str | None, owner: str | None, job_filter: JobFilter, before: UUID | None, limit: int
) -> tuple[sql.Composed, dict[str, Any]]:
    """Return the statement that reads a page, newest first, and its values.

    Ids of version 7 are in order of time.
    """
    asked = {"caller": caller, "owner": owner, "before": before}
    values: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    conditions = [_FIXED[name] for name in values]
    conditions += [_choice(choice, values=values) for choice in job_filter]
    where = sql.SQL(" AND ").join(conditions or [sql.SQL("true")])
    statement = sql.SQL("SELECT *, {} FROM job WHERE {} ORDER BY id DESC LIMIT %(limit)s")
    return statement.format(_KEPT, where), {**values, "limit": limit}


def _choice(conditions: tuple[Condition, ...], *, values: dict[str, Any]) -> sql.Composed:
    """Return conditions of which one has to hold; their values go into `values`."""
    comparisons = [_comparison(each, values=values) for each in conditions]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(comparisons))


def _comparison(condition: Condition, *, values: dict[str, Any]) -> sql.Composed:
    name = f"value_{len(values)}"
    values[name] = condition.value
    column, operator = _COLUMNS[condition.field], _OPERATORS[condition.operator]
    return sql.SQL("{} {} {}").format(column, operator, sql.Placeholder(name))
