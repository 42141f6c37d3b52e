"""The race for one job, every order of it.

Read `world` and `table` (what a state is made of), `run` and `actor` (how a use case takes a step),
`move`, `space` and `search` (what can happen next, until nothing is new); then `invariant`, `scope`
and `bug`. `memory*` is the storage, `barrier` and `test_stateful` hold it against PostgreSQL.
"""
