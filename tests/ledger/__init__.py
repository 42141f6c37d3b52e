"""A search for an order of steps that loses or invents a credit.

`machine` picks what happens next, `job_event` and `money_event` do it through the use cases of two
replicas on one PostgreSQL (`ground`), and `truth` says what must hold after each step. `bug` has
guards of the product that are taken away, to see that the search would notice.
"""
