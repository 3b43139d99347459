from vending.machine import Machine
from vending.shelf import Shelf, SoldOut


def make_machine():
    shelf = Shelf({"A1": ["cola", "juice"], "A2": ["nuts"]})
    return Machine(shelf, {"A1": 150, "A2": 90})


def test_buy():
    machine = make_machine()
    machine.insert(200)
    assert machine.buy("A1") == "cola"
    assert (machine.credit, machine.takings) == (50, 150)
    assert machine.display == "thank you"


def test_not_enough_money():
    machine = make_machine()
    machine.insert(100)
    assert machine.affordable() == ["A2"]
    assert machine.buy("A1") is None
    assert machine.display == "insert 50"


def test_take():
    shelf = Shelf({"A1": ["cola"], "A2": ["nuts"]})
    assert shelf.take("A1") == "cola"
    assert shelf.empty() == ["A1"]
    try:
        shelf.take("A1")
    except SoldOut:
        return
    assert False, "an empty slot gave something"


def test_sold_out():
    machine = make_machine()
    machine.insert(200)
    machine.buy("A2")
    assert machine.buy("A2") is None
    assert machine.display == "sold out"


def test_cancel():
    machine = make_machine()
    machine.insert(50)
    assert machine.cancel() == 50
    assert machine.credit == 0


def test_a_new_shelf_is_empty():
    shelf = Shelf()
    shelf.fill("B1", "tea", "tea")
    assert shelf.slots == {"B1": ["tea", "tea"]}
    assert Shelf().slots == {}


def test_a_new_machine_has_no_prices():
    machine = Machine(Shelf({}))
    machine.set_price("B1", 80)
    assert machine.prices == {"B1": 80}
    assert Machine(Shelf({})).prices == {}
