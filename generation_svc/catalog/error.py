"""What is wrong with the catalog file."""

from pathlib import Path

from generation_svc.domain.error import AtelierError


class CatalogError(AtelierError):
    """The catalog file cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")
