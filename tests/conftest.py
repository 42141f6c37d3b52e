pytest_plugins = ("tests.day", "tests.postgres", "tests.lifecycle", "tests.release")
