from edge_bot.window import Window


def opened(*ids: int, size: int = 100) -> Window:
    window = Window(size=size)
    assert all(window.add(one) for one in ids)
    return window


def test_the_offset_passes_what_is_handled() -> None:
    window = opened(5, 6)
    window.handled(5)
    assert window.offset == 6
    window.handled(6)
    assert (window.offset, len(window)) == (7, 0)


def test_an_unhandled_update_holds_the_offset_back() -> None:
    window = opened(5, 6, 7)
    window.handled(6)
    window.handled(7)
    assert window.offset == 0
    window.handled(5)
    assert window.offset == 8


def test_an_update_seen_again_is_known() -> None:
    window = opened(5, 6)
    window.handled(5)
    assert not window.add(5)
    assert not window.add(6)


def test_a_full_window_lets_go_of_the_few_that_take_long() -> None:
    window = opened(*range(1, 11), size=10)
    for one in range(2, 6):
        window.handled(one)
    assert window.offset == 0
    window.handled(6)
    assert window.offset == 11


def test_a_full_window_waits_while_nothing_is_handled() -> None:
    assert opened(*range(1, 11), size=10).offset == 0


def test_a_late_end_changes_nothing_any_more() -> None:
    window = opened(1, 2, size=2)
    window.handled(2)
    window.handled(1)
    assert window.offset == 3


def test_ids_may_begin_anywhere_once_nothing_is_left() -> None:
    window = opened(900)
    window.handled(900)
    window.confirmed()
    assert window.add(12)


def test_nothing_is_forgotten_while_something_is_open() -> None:
    window = opened(900, 901)
    window.handled(900)
    window.confirmed()
    assert window.offset == 901
