"""Those who generate; one folder each."""
