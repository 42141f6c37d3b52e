pytest_plugins = ("tests.authority", "tests.postgres", "tests.lifecycle", "tests.release")
