pytest_plugins = (
    "tests.authority",
    "tests.day",
    "tests.postgres",
    "tests.lifecycle",
    "tests.release",
)
