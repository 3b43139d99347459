from vending.machine import Machine
from vending.shelf import Shelf, SoldOut


def make_machine():
    return Machine(Shelf({1: ["gum", "mint"], 2: []}), {1: 60, 2: 40})


def test_the_first_product_first():
    machine = make_machine()
    machine.insert(120)
    assert machine.buy(1) == "gum"
    assert machine.buy(1) == "mint"
    assert (machine.credit, machine.takings) == (0, 120)


def test_an_empty_slot():
    machine = make_machine()
    machine.insert(40)
    assert machine.buy(2) is None
    assert machine.display == "sold out"
    assert (machine.credit, machine.takings) == (40, 0)


def test_taking_all():
    shelf = Shelf({"x": ["a"], "b": []})
    shelf.fill("x", "b")
    assert [shelf.take("x"), shelf.take("x")] == ["a", "b"]
    assert shelf.empty() == ["b", "x"]
    try:
        shelf.take("x")
    except SoldOut as error:
        assert str(error) == "x"
        return
    assert False, "an empty slot gave something"


def test_affordable():
    machine = make_machine()
    assert machine.affordable() == []
    machine.insert(40)
    assert machine.affordable() == [2]
    machine.insert(20)
    assert machine.affordable() == [1, 2]
    assert machine.display == "ready"


def test_the_rest_comes_back():
    machine = make_machine()
    machine.insert(200)
    machine.buy(1)
    assert machine.cancel() == 140
    assert machine.cancel() == 0
    assert machine.takings == 60


def test_shelves_share_nothing():
    first, second = Shelf(), Shelf()
    first.fill("x", "soup")
    second.fill("y", "cake")
    assert sorted(first.slots) == ["x"]
    assert sorted(second.slots) == ["y"]


def test_prices_of_two_machines():
    first, second = Machine(Shelf({})), Machine(Shelf({}))
    first.set_price("x", 50)
    second.set_price("y", 70)
    assert first.prices == {"x": 50}
    assert second.prices == {"y": 70}


def test_prices_are_positive():
    for price in (0, -10):
        try:
            make_machine().set_price(1, price)
        except ValueError:
            continue
        assert False, f"{price} was accepted"
