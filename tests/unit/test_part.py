import pytest

from generation_svc.part import BOTH, Part, read_parts


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], BOTH),
        (["--only", "rpc"], {Part.RPC}),
        (["--only=engine"], {Part.ENGINE}),
    ],
)
def test_a_command_line_names_the_parts(arguments: list[str], parts: set[Part]) -> None:
    assert read_parts(arguments) == parts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "gateway"], "argument --only: must be engine or rpc, not 'gateway'"),
        (["--only"], "argument --only: expected one argument"),
        (
            ["--only", "rpc", "--only", "engine"],
            "argument --only: must be given once; both parts run without it",
        ),
        (["--on", "rpc"], "unrecognized arguments: --on rpc"),
        (["engine"], "unrecognized arguments: engine"),
    ],
)
def test_a_wrong_command_line_ends_with_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_parts(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"generation_svc: {words}\n"
