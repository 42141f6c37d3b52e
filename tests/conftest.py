pytest_plugins = ("tests.postgres", "tests.lifecycle", "tests.release")
